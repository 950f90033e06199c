LC_ALL=C
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset IFS CDPATH ENV BASH_ENV
unalias -a
set -f

document=$1
result=null
failures=

# What JSON wants escaped, and '<': with that escaped, no answer holds a mark.
json_special=$(printf '["<\001-\037\\\\]')
json_codes=$(
    printf '\001:01 \002:02 \003:03 \004:04 \005:05 \006:06 \007:07 \010:08 \013:0b \014:0c '
    printf '\016:0e \017:0f \020:10 \021:11 \022:12 \023:13 \024:14 \025:15 \026:16 \027:17 '
    printf '\030:18 \031:19 \032:1a \033:1b \034:1c \035:1d \036:1e \037:1f '
)
json_newline='
'
json_tab=$(printf '\t')
json_return=$(printf '\r')

# json_string TEXT: writes it as a JSON string.
json_string() {
    json_rest=$1
    printf '"'
    while [ -n "$json_rest" ]; do
        # In pieces: each step below takes as long as what is left.
        json_piece=$json_rest
        if [ "${#json_rest}" -gt 500 ]; then
            json_piece=$(printf '%.500s.' "$json_rest")
            json_piece=${json_piece%.}
        fi
        case $json_rest in
            "$json_piece"*) json_rest=${json_rest#"$json_piece"} ;;
            *) json_piece=$json_rest json_rest= ;;
        esac
        json_written=
        while :; do
            json_plain=${json_piece%%$json_special*}
            json_written=$json_written$json_plain
            [ "$json_plain" != "$json_piece" ] || break
            json_piece=${json_piece#"$json_plain"}
            case $json_piece in
                '"'*) json_written=$json_written'\"' ;;
                \\*) json_written=$json_written'\\' ;;
                '<'*) json_written=$json_written'\u003c' ;;
                "$json_newline"*) json_written=$json_written'\n' ;;
                "$json_tab"*) json_written=$json_written'\t' ;;
                "$json_return"*) json_written=$json_written'\r' ;;
                *)
                    for json_code in $json_codes; do
                        case $json_piece in "${json_code%:*}"*) break ;; esac
                    done
                    json_written=$json_written'\u00'${json_code#*:}
                    ;;
            esac
            json_piece=${json_piece#?}
        done
        printf %s "$json_written"
    done
    printf '"'
}

# json_text TEXT: likewise, and null for what could not be read, an empty one.
json_text() {
    if [ -n "$1" ]; then json_string "$1"; else printf null; fi
}

# json_number TEXT: writes it, and null for what is no whole number.
json_number() {
    case $1 in
        '' | *[!0-9]*) printf null ;;
        *) printf %s "$1" ;;
    esac
}

# look_up KEY: sets document_found to what the document, a flat one, has there: a text after a quote, all else after a
# colon. It is taken apart at its quotes: to search it as a whole takes some shells the square of its length.
look_up() {
    document_key=$1
    document_before=
    document_found=
    IFS='"'
    set -- $document
    unset IFS
    for document_part do
        case $document_before:$document_part in
            key:: | key:': ') document_before=colon ;;
            key::*)
                document_found=$document_part
                return
                ;;
            colon:*)
                document_found=\"$document_part
                return
                ;;
            *)
                document_before=
                [ "$document_part" != "$document_key" ] || document_before=key
                ;;
        esac
    done
}

# document_number KEY, document_text KEY: write what the document has there, or nothing.
document_number() {
    look_up "$1"
    document_found=${document_found#:}
    document_found=${document_found# }
    document_found=${document_found%%[,\}]*}
    case $document_found in
        '' | *[!0-9]*) ;;
        *) printf %s "$document_found" ;;
    esac
}

# A text with anything escaped in it counts as none.
document_text() {
    look_up "$1"
    case $document_found in
        *\\*) ;;
        \"*) printf %s "${document_found#?}" ;;
    esac
}

# failure ID CATEGORY MESSAGE TARGET: adds to the errors.
failure() {
    failures=${failures:+$failures,}$(
        printf '{"id":'
        json_string "$1"
        printf ',"category":'
        json_string "$2"
        printf ',"message":'
        json_string "$3"
        printf ',"target":'
        json_text "$4"
        printf '}'
    )
}

# say TEXT: writes it with what is built in: arguments of programs can be seen by all.
say() {
    case $(command -v printf) in
        printf) printf %s "$1" ;;
        *) print -rn -- "$1" ;;
    esac
}

#BODY

printf '{"schema":1,"result":%s,"errors":[%s]}\n' "$result" "$failures"
