# {process_id, started} -> {gone}: true if that process certainly does not run. Another one of its id is left alone.
process_id=$(document_number process_id)
started=$(document_text started)

# look_at PROCESS: sets state, group and ticks, the time of its start, or fails.
look_at() {
    { IFS= read -r stat < "/proc/$1/stat"; } 2> /dev/null || return
    # The name of a program may hold spaces and brackets.
    set -- ${stat##*") "}
    state=$1 group=$3 ticks=${20}
}

is_gone() {
    if look_at "$process_id"; then
        case $state$ticks in
            [ZXx]*) return 0 ;;
            ?"$started") return 1 ;;
            *) return 0 ;;
        esac
    fi
    # /proc may hide what runs for somebody else; the kernel does not.
    case $(kill -0 "$process_id" 2>&1) in
        *[Nn]'o such process'*) return 0 ;;
        *) return 1 ;;
    esac
}

stop() {
    look_at $$
    own_group=$group
    look_at "$process_id" || return
    [ "$ticks" = "$started" ] || return
    # Of the group 0 or 1, kill would take everything.
    case $group in
        "$own_group" | 0 | 1) kill -9 "$process_id" ;;
        *) kill -9 "-$group" ;;
    esac 2> /dev/null
}

gone=false
case $process_id:$started in
    [!1-9]* | *:)
        failure InvalidDocument InvalidArgument 'process_id and started do not name a process.' "$process_id"
        ;;
    *)
        left=30
        is_gone || stop || left=0
        while :; do
            if is_gone; then
                gone=true
                break
            fi
            [ "$left" -gt 0 ] || break
            # Not every sleep knows fractions.
            if sleep 0.1 2> /dev/null; then
                left=$((left - 1))
            else
                sleep 1
                left=$((left - 10))
            fi
        done
        ;;
esac
result="{\"gone\":$gone}"
