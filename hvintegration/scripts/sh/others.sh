# find_another NAMES: sets another to the number of a process that changes something, of this user or root, as anybody can
# give a process a name; and to nothing if there is none.
find_another() {
    another=
    marks=$1
    set +f
    set -- /proc/[0-9]*
    set -f
    for path do
        [ "$path" != "/proc/$$" ] && look_at_process "$path" "$marks" || continue
        case $state:$owner in
            [ZX]:*) ;;
            *:0 | *:"$user_id") another=${path#/proc/} ;;
        esac
    done
}

