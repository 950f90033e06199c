# {vm_id, dry_run, command, ..., as get_guest} -> facts, and installing, ended, said, command_run
# command: of the package manager, with spaces between the words. If none runs that was begun by this script, it is begun,
# by a process of root that nobody waits for. installing: the number of that process, or null. ended: how the last one
# ended, and said: the last of what it wrote; both null for who may not know, or if there was none.

# What root runs: the first begins the second, with the command as its arguments, and ends when that is to be seen.
begin_it='
    work=$1
    shift
    umask 077
    at=/run/hvintegration
    mkdir -p "$at" && [ ! -L "$at" ] || exit 1

    # await COMMAND...: until it succeeds, for some seconds.
    await() {
        left=50
        while [ "$left" -gt 0 ] && ! "$@"; do
            sleep 0.1 2> /dev/null || sleep 1
            left=$((left - 1))
        done
    }
    is_noted() {
        [ -e "$at/busy/process" ] || [ ! -e "$at/busy" ]
    }
    is_begun() {
        process=
        read -r process 2> /dev/null < "$at/busy/process"
        name=
        [ -z "$process" ] || read -r name 2> /dev/null < "/proc/$process/comm"
        [ "$name" = hv-installing ]
    }
    is_begun_or_over() {
        is_begun || [ ! -e "$at/busy" ]
    }

    if ! mkdir "$at/busy" 2> /dev/null; then
        await is_noted
        ! is_begun_or_over || exit 0
        # What was killed is begun again by one of those who notice.
        if ! mkdir "$at/busy/over" 2> /dev/null; then
            await is_begun_or_over
            exit 0
        fi
        if is_begun; then
            rmdir "$at/busy/over"
            exit 0
        fi
        rm -f "$at/busy/process"
    fi
    rm -f "$at/ended"
    trap "" HUP INT
    in_session=
    ! command -v setsid > /dev/null 2>&1 || in_session=setsid
    $in_session sh -c "$work" hv-installing "$@" > "$at/log" 2>&1 < /dev/null &
    await is_noted
    rmdir "$at/busy/over" 2> /dev/null
    exit 0
'
work='
    printf %s hv-installing > /proc/$$/comm
    echo "$$" > /run/hvintegration/busy/process
    "$@"
    status=$?
    if [ "$status" = 0 ] && command -v udevadm > /dev/null 2>&1; then
        # It reads rules that are new only now and then: without them it starts nothing.
        udevadm control --reload
        udevadm trigger --subsystem-match=misc
        udevadm settle --timeout=10
    fi
    echo "$status" > /run/hvintegration/ended
    rm -rf /run/hvintegration/busy
'

cd /
dry_run=true
case $document in *'"dry_run": false'* | *'"dry_run":false'*) dry_run=false ;; esac
wanted_id=$(document_text vm_id)
known_id=$(pool_record VirtualMachineId | tr ABCDEF abcdef)
installer=
ended=
said=
if [ -n "$refused" ]; then
    : # Nothing is tried after a password that was refused.
elif [ -n "$wanted_id" ] && [ -n "$known_id" ] && [ "$wanted_id" != "$known_id" ]; then
    failure AnotherVirtualMachine InvalidOperation "$known_id" ''
elif ! sees_processes; then
    failure ProcessesHidden PermissionDenied 'Whether something is being installed cannot be seen.' ''
else
    find_another ' hv-installing '
    installer=$another
    if [ -z "$installer" ] && [ "$dry_run" = false ]; then
        find_another ' hv-changing '
        if [ -n "$another" ]; then
            failure ChangeUnderWay ResourceBusy "$another" ''
        else
            set -- $(document_text command)
            said=$(with_rights sh -c "$begin_it" sh "$work" "$@")
            status=$?
            if is_refusal "$status" "$said"; then
                failure RightsMissing PermissionDenied "$*" ''
            elif [ "$status" != 0 ]; then
                failure InstallNotBegun NotSpecified "$said" ''
            fi
            find_another ' hv-installing '
            installer=$another
        fi
    fi
    said=
    if [ -z "$installer" ] && said=$(with_rights sh -c 'cat /run/hvintegration/ended && tail -n 20 /run/hvintegration/log'); then
        ended=${said%%"$json_newline"*}
        said=${said#"$ended"}
    else
        said=
    fi
fi
result="{$(facts),\"installing\":$(json_number "$installer"),\"ended\":$(json_number "$ended"),\"said\":$(json_text "$said")}"
