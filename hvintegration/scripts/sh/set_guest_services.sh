# {vm_id, dry_run, changes, devices, programs, names, units, scripts, and KIND_devices, KIND_programs, KIND_names,
#   KIND_executables, KIND_units, KIND_scripts of each kind}
#   -> facts after all changes, and changes: [{was, begun}], in order
# changes: KIND:ACTION, with spaces between; action: start, stop, automatic, manual or disabled, or stop_to_start, which
# leaves alone what could not be started again. vm_id: which virtual machine this must be, or null. was: whether its
# daemon ran before, null if that cannot be seen. Where another process makes changes, nothing is done, and its number is
# the error of each.
# The exit statuses of what starts and stops daemons say nothing: what is so is looked at.

# pause: waits for a tenth of a second, or a second where sleep knows no fractions; adds to waited, in tenths.
pause() {
    if sleep 0.1 2> /dev/null; then
        waited=$((waited + 1))
    else
        sleep 1
        waited=$((waited + 10))
    fi
}

# running KIND: writes the numbers of the processes of its daemon. Anybody can give a process a name: it must be root's,
# and run such a program as far as that can be seen.
running() {
    names=" $(document_text "$1_names") "
    executables=" $(document_text "$1_executables") "
    set +f
    set -- /proc/[0-9]*
    set -f
    for path do
        look_at_process "$path" "$names" || continue
        case $state:$owner in
            [ZX]:*) continue ;;
            *:0) ;;
            *) continue ;;
        esac
        program=${program%' (deleted)'}
        case $executables in *" ${program##*/} "*) ;; *) [ -z "$program" ] || continue ;; esac
        printf '%s ' "${path#/proc/}"
    done
}

# unit KIND: writes the first of its units or scripts that is there.
unit() {
    names=$(document_text "$1_scripts")
    [ "$init" != systemd ] || names=$(document_text "$1_units")
    for name in $names; do
        case $init in
            systemd)
                case $(property LoadState "$name") in
                    not-found | '') continue ;;
                esac
                ;;
            openrc | sysvinit) [ -x "/etc/init.d/$name" ] || continue ;;
            *) continue ;;
        esac
        printf %s "$name"
        return
    done
}

# property NAME UNIT: writes what systemd says of it.
property() {
    fact=$(systemctl show -p "$1" -- "$2" 2> /dev/null)
    printf %s "${fact#*=}"
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

# as_root COMMAND...: runs it as root, for a change; sets begun, said and status. It fails if that may not be.
as_root() {
    said=$(with_rights "$@")
    status=$?
    if is_refusal "$status" "$said"; then
        failure RightsMissing PermissionDenied "$*" "$index"
        return 1
    fi
    begun=true
}

# may_come UNIT: whether what was started may still show; waited says for how long it has not.
may_come() {
    case $init:$1 in
        systemd:?*)
            case $(property ActiveState "$1") in
                active | activating | reloading) [ "$waited" -lt 30 ] ;;
                *) return 1 ;;
            esac
            ;;
        *) [ "$waited" -lt 10 ] ;;
    esac
}

# holder DEVICE: writes number and name of a process that has it open. Only root sees that.
holder() {
    with_rights sh -c '
        for path in /proc/[0-9]*; do
            case $(ls -l "$path/fd" 2> /dev/null) in *" -> $1"*) ;; *) continue ;; esac
            for file in "$path"/fd/*; do
                [ "$(readlink "$file")" = "$1" ] || continue
                IFS= read -r name < "$path/comm"
                printf "%s (%s)" "${path#/proc/}" "$name"
                exit
            done
        done
    ' sh "$1" 2> /dev/null
}

# say_why KIND UNIT RUN: adds to the errors what is known of why its daemon does not stay; RUN: the run of the unit before.
say_why() {
    for device in $(document_text "$1_devices"); do
        [ -e "$device" ] || continue
        held=$(holder "$device") || continue
        case $held in [1-9]*)
            failure DeviceHeld ResourceBusy "Its device $device is held by process $held." "$index"
            return
            ;;
        esac
    done
    case $init:$2 in systemd:?*)
        said=
        invocation=$(property InvocationID "$2")
        # What an earlier run has said is not why this start failed.
        [ "$invocation" = "$3" ] || said=$(words "$2" "$invocation" with_rights)
        ;;
    esac
    [ -z "$said" ] || failure DaemonEnded NotSpecified "$said" "$index"
}

# make_known KIND UNIT: has udev tell systemd of the device that the unit is bound to. systemd ends at once what is bound
# to a device that it does not know, and udev reads rules that are new, such as those of a package, only now and then.
make_known() {
    case $(property BindsTo "$2") in *.device*) ;; *) return ;; esac
    for device in $(document_text "$1_devices"); do
        [ -e "$device" ] && [ "$(property ActiveState "$device")" = inactive ] || continue
        with_rights sh -c '
            udevadm control --reload
            udevadm trigger --subsystem-match=misc
            udevadm settle --timeout=10
        ' > /dev/null
        waited=0
        while [ "$waited" -lt 10 ] && [ "$(property ActiveState "$device")" = inactive ]; do pause; done
        return
    done
}

# masked UNIT: whether systemd keeps it from being started.
masked() {
    [ "$init:${1:+unit}" = systemd:unit ] && [ "$(property LoadState "$1")" = masked ]
}

# by_hand PROGRAM: runs what makes itself a daemon. What sudo begins on a terminal of its own must outlive that.
by_hand() {
    trap '' HUP
    as_root "$1"
    allowed=$?
    trap - HUP
    return "$allowed"
}

# start_unit UNIT RUN: has systemd start it; RUN: the run of the unit before. What was started a few times in ten seconds
# systemd starts no more, and shows how the run before ended.
start_unit() {
    as_root systemctl --no-ask-password start "$1" || return
    [ "$(property ActiveState "$1")" = failed ] && [ "$(property InvocationID "$1")" = "$2" ] || return 0
    as_root systemctl --no-ask-password reset-failed "$1" && as_root systemctl --no-ask-password start "$1"
}

start() {
    unit=$(unit "$1")
    program=$(program "$1")
    if [ -z "$unit$program" ]; then
        failure ServiceNotInstalled ObjectNotFound "$1" "$index"
        return
    fi
    [ "$dry_run" = false ] || return
    run_before=
    case $init:$unit in
        systemd:?*)
            ! masked "$unit" || return
            make_known "$1" "$unit"
            run_before=$(property InvocationID "$unit")
            start_unit "$unit" "$run_before"
            ;;
        openrc:?*) as_root rc-service "$unit" start ;;
        sysvinit:?*) as_root "/etc/init.d/$unit" start ;;
        *) by_hand "$program" ;;
    esac || return
    waited=0
    while [ -z "$(running "$1")" ] && may_come "$unit"; do pause; done
    # One that cannot have its device ends a moment later.
    waited=0
    while [ "$waited" -lt 5 ] && [ -n "$(running "$1")" ]; do pause; done
    [ -n "$(running "$1")" ] || say_why "$1" "$unit" "$run_before"
}

# is_noted PROCESS: whether its number is in the file that a script has made of it.
is_noted() {
    set +f
    set -- "$1" /run/*.pid
    set -f
    process=$1
    shift
    for path do
        [ "$(line "$path")" != "$process" ] || return 0
    done
    return 1
}

stop() {
    [ "$dry_run" = false ] || return
    unit=$(unit "$1")
    case $init:$unit in openrc:?* | sysvinit:?*)
        # For one that it did not start, a script may wait half a minute and then kill it.
        for process in $(running "$1"); do
            is_noted "$process" || as_root kill -15 "$process" || return
        done
        waited=0
        while [ "$begun" = true ] && [ "$waited" -lt 10 ] && [ -n "$(running "$1")" ]; do pause; done
        ;;
    esac
    case $init:$unit in
        systemd:?*)
            case $(property ActiveState "$unit") in
                active | activating | reloading) as_root systemctl --no-ask-password stop "$unit" ;;
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
    if [ -z "$unit$(program "$1")" ]; then
        failure ServiceNotInstalled ObjectNotFound "$1" "$index"
        return
    fi
    if [ -z "$unit" ]; then
        failure NoStartup NotImplemented "It has no init system with a unit or script for this daemon." "$index"
        return
    fi
    case $init:$2 in
        systemd:*) ;;
        *:disabled)
            failure NoStartup NotImplemented "Its init system cannot keep a service from being started." "$index"
            return
            ;;
    esac
    [ "$dry_run" = false ] || return
    status=0
    case $init:$2 in
        systemd:disabled) as_root systemctl --no-ask-password mask "$unit" ;;
        systemd:automatic)
            as_root systemctl --no-ask-password --no-reload unmask "$unit" &&
                as_root systemctl --no-ask-password enable "$unit"
            ;;
        systemd:manual)
            as_root systemctl --no-ask-password unmask "$unit" || return
            case $(property UnitFileState "$unit") in
                enabled*) as_root systemctl --no-ask-password disable "$unit" ;;
            esac
            ;;
        openrc:automatic) as_root rc-update add "$unit" default ;;
        openrc:*) as_root rc-update -a del "$unit" ;;
        sysvinit:automatic) as_root update-rc.d "$unit" enable ;;
        sysvinit:*) as_root update-rc.d "$unit" disable ;;
    esac || return
    [ "$status" = 0 ] || failure StartupNotSet NotSpecified "$said" "$index"
}

# make KIND ACTION: starts or stops what is not so; sets was and begun.
make() {
    if ! sees_processes; then
        was=null
        failure ProcessesHidden PermissionDenied 'Whether its daemon runs cannot be seen: processes are hidden.' "$index"
        return
    fi
    was=false
    [ -z "$(running "$1")" ] || was=true
    case $was:$2 in
        false:start) start "$1" ;;
        true:stop) stop "$1" ;;
        true:stop_to_start) masked "$(unit "$1")" || stop "$1" ;;
    esac
}

cd /
find_another ' hv-changing hv-installing '
wanted_id=$(document_text vm_id)
known_id=$(pool_record VirtualMachineId | tr ABCDEF abcdef)
changes=
index=0
if [ -n "$refused" ]; then
    : # Nothing is tried after a password that was refused.
elif [ -n "$another" ]; then
    # Each of two that have found one another leaves it to the next try.
    for change in $(document_text changes); do
        failure ChangeUnderWay ResourceBusy "$another" "$index"
        changes=${changes:+$changes,}'{"was":null,"begun":false}'
        index=$((index + 1))
    done
elif [ -n "$wanted_id" ] && [ -n "$known_id" ] && [ "$wanted_id" != "$known_id" ]; then
    failure AnotherVirtualMachine InvalidOperation "$known_id" ''
else
    for change in $(document_text changes); do
        begun=false
        was=null
        said=
        case ${change#*:} in
            start | stop | stop_to_start) make "${change%:*}" "${change#*:}" ;;
            *) startup "${change%:*}" "${change#*:}" ;;
        esac
        changes=${changes:+$changes,}"{\"was\":$was,\"begun\":$begun}"
        index=$((index + 1))
    done
fi
result="{$(facts),\"changes\":[$changes]}"
