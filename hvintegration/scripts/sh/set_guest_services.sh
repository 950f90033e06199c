# {vm_id, dry_run, changes, devices, programs, names, units, and KIND_units, KIND_programs, KIND_names of each kind}
#   -> facts after all changes, and changes: [{begun, said}], in order
# changes: KIND:ACTION, with spaces between; action: start, stop, automatic, manual or disabled. vm_id: which virtual
# machine this must be, or null. Exit statuses say nothing here: what is so is looked at.

# pause: waits for a tenth of a second, or a second where sleep knows no fractions; adds to waited, in tenths.
pause() {
    if sleep 0.1 2> /dev/null; then
        waited=$((waited + 1))
    else
        sleep 1
        waited=$((waited + 10))
    fi
}

# running KIND: writes the numbers of the processes of its daemon.
running() {
    names=" $(document_text "$1_names") "
    set +f
    set -- /proc/[0-9]*
    set -f
    for path do
        name=
        { IFS= read -r name < "$path/comm"; } 2> /dev/null || continue
        case $name in *' '* | '') continue ;; esac
        case $names in *" $name "*) ;; *) continue ;; esac
        state=
        while read -r key value _; do
            case $key in State:) state=$value ;; esac
        done 2> /dev/null < "$path/status"
        case $state in Z | X) continue ;; esac
        printf '%s ' "${path#/proc/}"
    done
}

# unit KIND: writes the first of its units that is there.
unit() {
    names=$(document_text "$1_scripts")
    [ "$init" != systemd ] || names=$(document_text "$1_units")
    for name in $names; do
        case $init in
            systemd)
                case $(systemctl show -p LoadState -- "$name" 2> /dev/null) in
                    *=not-found | '') continue ;;
                esac
                ;;
            openrc | sysvinit) [ -x "/etc/init.d/$name" ] || continue ;;
            *) continue ;;
        esac
        printf %s "$name"
        return
    done
}

# program KIND: writes the first of its programs that is there.
program() {
    for path in $(document_text "$1_programs"); do
        if [ -x "$path" ] && [ -f "$path" ]; then
            printf %s "$path"
            return
        fi
    done
}

# as_root COMMAND...: runs it with the rights that there are; what it says is kept in said.
as_root() {
    case $rights in
        root) said=$("$@" 2>&1 < /dev/null) ;;
        sudo) said=$(sudo -n -- "$@" 2>&1 < /dev/null) ;;
        doas) said=$(doas -n "$@" 2>&1 < /dev/null) ;;
        *)
            failure RightsMissing PermissionDenied "$*" "$index"
            return 1
            ;;
    esac
    begun=true
}

start() {
    [ -z "$(running "$1")" ] || return
    unit=$(unit "$1")
    program=$(program "$1")
    if [ -z "$unit$program" ]; then
        failure ServiceNotInstalled ObjectNotFound "$1" "$index"
        return
    fi
    [ "$dry_run" = false ] || return
    case $init:$unit in
        systemd:?*) as_root systemctl --no-ask-password start "$unit" ;;
        openrc:?*) as_root rc-service "$unit" start ;;
        sysvinit:?*) as_root "/etc/init.d/$unit" start ;;
        *) as_root "$program" ;;
    esac || return
    waited=0
    while [ "$waited" -lt 30 ] && [ -z "$(running "$1")" ]; do pause; done
    # One that cannot have its device ends a moment later.
    waited=0
    while [ "$waited" -lt 5 ]; do pause; done
}

stop() {
    found=$(running "$1")
    [ -n "$found" ] && [ "$dry_run" = false ] || return
    unit=$(unit "$1")
    case $init:$unit in
        systemd:?*)
            case $(systemctl show -p ActiveState -- "$unit" 2> /dev/null) in
                *=active | *=activating | *=reloading) as_root systemctl --no-ask-password stop "$unit" ;;
            esac
            ;;
        openrc:?*) as_root rc-service "$unit" stop ;;
        sysvinit:?*) as_root "/etc/init.d/$unit" stop ;;
    esac || return
    # What was started by hand belongs to no unit.
    for process in $(running "$1"); do
        as_root kill -15 "$process" || return
    done
    waited=0
    while [ "$waited" -lt 30 ] && [ -n "$(running "$1")" ]; do pause; done
}

# startup KIND ACTION
startup() {
    unit=$(unit "$1")
    if [ -z "$unit" ]; then
        failure NoStartup NotImplemented "$init" "$index"
        return
    fi
    [ "$dry_run" = false ] || return
    case $init:$2 in
        systemd:disabled) as_root systemctl --no-ask-password mask "$unit" ;;
        systemd:automatic)
            as_root systemctl --no-ask-password unmask "$unit" && as_root systemctl --no-ask-password enable "$unit"
            ;;
        systemd:manual)
            as_root systemctl --no-ask-password unmask "$unit" && as_root systemctl --no-ask-password disable "$unit"
            ;;
        openrc:automatic) as_root rc-update add "$unit" default ;;
        openrc:*) as_root rc-update del "$unit" ;;
        sysvinit:automatic) as_root update-rc.d "$unit" enable ;;
        sysvinit:*) as_root update-rc.d "$unit" disable ;;
    esac
}

dry_run=true
case $document in *'"dry_run": false'* | *'"dry_run":false'*) dry_run=false ;; esac
wanted_id=$(document_text vm_id)
known_id=$(pool_record VirtualMachineId | tr ABCDEF abcdef)
changes=
index=0
if [ -n "$wanted_id" ] && [ -n "$known_id" ] && [ "$wanted_id" != "$known_id" ]; then
    failure AnotherVirtualMachine InvalidOperation "$known_id" ''
else
    for change in $(document_text changes); do
        begun=false
        said=
        kind=${change%:*}
        was=false
        [ -z "$(running "$kind")" ] || was=true
        case ${change#*:} in
            start) start "$kind" ;;
            stop) stop "$kind" ;;
            *) startup "$kind" "${change#*:}" ;;
        esac
        changes=${changes:+$changes,}"{\"was\":$was,\"begun\":$begun,\"said\":$(json_text "$said")}"
        index=$((index + 1))
    done
fi
result="{$(facts),\"changes\":[$changes]}"
