# What the scripts for Linux guests share: facts as they are found; what they mean is decided where they are read.

# line FILE: writes its first line, or nothing where it cannot be read.
line() {
    [ -r "$1" ] && [ -f "$1" ] || return
    fact=
    { IFS= read -r fact || [ -n "$fact" ]; } 2> /dev/null < "$1" || return
    printf %s "$fact"
}

# lines FILE: writes up to its first hundred lines.
lines() {
    [ -r "$1" ] && [ -f "$1" ] || return
    count=0
    while [ "$count" -lt 100 ] && { IFS= read -r fact || [ -n "$fact" ]; }; do
        printf '%s\n' "$fact"
        fact=
        count=$((count + 1))
    done 2> /dev/null < "$1"
}

# list FUNCTION: writes what it adds as a JSON list, and null if it fails.
list() {
    items=
    if "$1"; then printf '[%s]' "$items"; else printf null; fi
}

# add TEXT: adds to the list that is being made.
add() {
    items=${items:+$items,}$(json_string "$1")
}

# target_of LINK: writes where it leads to, or nothing.
target_of() {
    if [ -n "$has_readlink" ]; then
        readlink "$1" 2> /dev/null
    else
        fact=$(ls -ld "$1" 2> /dev/null)
        case $fact in *' -> '*) printf %s "${fact##* -> }" ;; esac
    fi
}

command -v readlink > /dev/null 2>&1 && has_readlink=1 || has_readlink=
user_id=$(id -u)

if [ -d /run/systemd/system ] && command -v systemctl > /dev/null 2>&1; then
    init=systemd
elif [ -d /run/openrc ] && command -v rc-service > /dev/null 2>&1; then
    init=openrc
elif [ -d /etc/init.d ]; then
    init=sysvinit
else
    init=
fi

# channel lines: instance, class, driver, and the number of its uio device.
channels() {
    [ -d /sys/bus/vmbus/devices ] && [ -r /sys/bus/vmbus/devices ] || return
    set +f
    set -- /sys/bus/vmbus/devices/*
    set -f
    for path do
        [ -e "$path/class_id" ] || continue
        driver=$(target_of "$path/driver")
        set +f
        uio=
        for node in "$path"/uio/uio*; do
            [ ! -e "$node" ] || uio=${node##*/}
        done
        set -f
        add "${path##*/} $(line "$path/class_id") ${driver##*/} $uio"
    done
}

# Of the devices that the document names, those that are there.
devices() {
    [ -d /dev ] && [ -x /dev ] || return
    [ ! -d /dev/vmbus ] || [ -x /dev/vmbus ] || return
    for path in $(document_text devices); do
        [ ! -e "$path" ] || add "$path"
    done
}

# Of the programs that it names, those that are there.
programs() {
    for path in $(document_text programs); do
        [ ! -x "$path" ] || [ ! -f "$path" ] || add "$path"
    done
}

# process lines of daemons: number, state, owner, program, and the name. It fails where processes of others are hidden.
processes() {
    [ -r /proc/self/stat ] && [ -r /proc/1/stat ] || return
    names=" $(document_text names) "
    set +f
    set -- /proc/[0-9]*
    set -f
    for path do
        name=
        { IFS= read -r name < "$path/comm"; } 2> /dev/null || continue
        case $name in *' '* | '') continue ;; esac
        case $names in *" $name "*) ;; *) continue ;; esac
        owner=
        while read -r key value _; do
            case $key in Uid:) owner=$value ;; State:) state=$value ;; esac
        done 2> /dev/null < "$path/status"
        add "${path#/proc/} $state $owner $name $(target_of "$path/exe")"
    done
}

# What the init system says of the units or scripts that the document names.
units() {
    case $init in
        systemd)
            add "$(
                systemctl show --no-pager -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p MainPID \
                    -p Result -p ExecMainStatus -- $(document_text units) 2> /dev/null
            )"
            ;;
        openrc | sysvinit)
            for name in $(document_text units); do
                [ ! -x "/etc/init.d/$name" ] || add "$name"
            done
            ;;
        *) return 1 ;;
    esac
}

# Of those units, the ones that udev starts when a device comes.
wanted() {
    [ -n "$init" ] || return
    set +f
    for path in /etc/udev/rules.d/*hyperv* /lib/udev/rules.d/*hyperv* /usr/lib/udev/rules.d/*hyperv* \
        /etc/udev/rules.d/*hv[-_]* /lib/udev/rules.d/*hv[-_]* /usr/lib/udev/rules.d/*hv[-_]*; do
        set -f
        [ -f "$path" ] || continue
        fact=$(lines "$path")
        for name in $(document_text units); do
            case $fact in *SYSTEMD_WANTS*"$name"*) add "$name" ;; esac
        done
    done
    set -f
}
