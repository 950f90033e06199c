# {} -> {kernel, kernel_release, machine, host_name, distribution, user_id}: what could not be read is null.

# distribution FILE: writes PRETTY_NAME of an os-release. Nothing in it is executed.
distribution() {
    [ -f "$1" ] && [ -r "$1" ] || return
    name=
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in PRETTY_NAME=*) name=${line#*=} ;; esac
        line=
    done < "$1"
    case $name in
        \'*) name=${name#\'} name=${name%%\'*} ;;
        \"*)
            rest=${name#\"}
            name=
            while :; do
                plain=${rest%%[\"\\]*}
                name=$name$plain
                rest=${rest#"$plain"}
                case $rest in
                    \\?*)
                        rest=${rest#?}
                        name=$name${rest%"${rest#?}"}
                        rest=${rest#?}
                        ;;
                    *) break ;;
                esac
            done
            ;;
    esac
    printf %s "$name"
}

name=$(distribution /etc/os-release)
[ -n "$name" ] || name=$(distribution /usr/lib/os-release)

result=$(
    printf '{"kernel":'
    json_text "$(uname -s)"
    printf ',"kernel_release":'
    json_text "$(uname -r)"
    printf ',"machine":'
    json_text "$(uname -m)"
    printf ',"host_name":'
    json_text "$(uname -n)"
    printf ',"distribution":'
    json_text "$name"
    printf ',"user_id":'
    json_number "$(id -u)"
    printf '}'
)
