# What the scripts for Linux guests share: facts as they are found; what they mean is decided where they are read.

# line FILE: writes its first line, or nothing where it cannot be read.
line() {
    [ -r "$1" ] && [ -f "$1" ] || return
    fact=
    { IFS= read -r fact || [ -n "$fact" ]; } 2> /dev/null < "$1" || return
    printf %s "$fact"
}

# beginning FILE: writes as much of it as is read at most, and one byte more.
beginning() {
    [ -r "$1" ] && [ -f "$1" ] || return
    dd if="$1" bs=16385 count=1 2> /dev/null
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
kernel=$(uname -s)

if [ "$kernel" = FreeBSD ]; then
    init=rc
elif [ -d /run/systemd/system ] && command -v systemctl > /dev/null 2>&1; then
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

# is_hidden PATH: whether it may be there for all that this user can see.
is_hidden() {
    folder=${1%/*}
    while [ -n "$folder" ]; do
        if [ -d "$folder" ]; then
            [ ! -x "$folder" ]
            return
        fi
        folder=${folder%/*}
    done
    return 1
}

# Of the programs that it names, those that are there, and with a question mark those that may be.
programs() {
    for path in $(document_text programs); do
        if [ -x "$path" ] && [ -f "$path" ]; then
            add "$path"
        elif is_hidden "$path"; then
            add "?$path"
        fi
    done
}

# Whether processes of others can be seen.
sees_processes() {
    [ -r /proc/self/stat ] && [ -r /proc/1/stat ]
}

# look_at_process FOLDER NAMES: sets state, owner, name and program if it has one of the names, and fails otherwise.
look_at_process() {
    name=
    { IFS= read -r name < "$1/comm"; } 2> /dev/null || return
    case $name in *' '* | '') return 1 ;; esac
    case $2 in *" $name "*) ;; *) return 1 ;; esac
    whole=
    state=
    owner=
    while read -r key value effective _; do
        case $key in
            # Its name may go on in a second line; here that is escaped.
            Name:) whole=$value ;;
            State:) state=$value ;;
            Uid:) owner=$effective ;;
            # One that has another number of its own lives in a container.
            NSpid:)
                [ -z "$effective" ] || return
                break
                ;;
        esac
    done 2> /dev/null < "$1/status"
    [ "$name" = "$whole" ] || return
    # Only its owner and root may know.
    program=$(target_of "$1/exe") || program=
    # What is no path was said by a program that says anything.
    case $program in /*) ;; *) program= ;; esac
}

# look_at_notes: sets notes to the numbers of processes that scripts have written into files, with spaces around each, and
# unread where not all of these can be read.
look_at_notes() {
    notes=' '
    unread=
    set +f
    set -- /run/*.pid
    set -f
    for path do
        [ -f "$path" ] || continue
        fact=
        { IFS= read -r fact || [ -n "$fact" ]; } 2> /dev/null < "$path" || [ -r "$path" ] || unread=1
        notes="$notes$fact "
    done
}

# look_for_keeper PROCESS: sets keeper to what it belongs to: a group of processes of systemd, or 'noted' where a script
# has started it and '-' where none has; to nothing where that cannot be known.
look_for_keeper() {
    keeper=
    case $init in
        systemd)
            while IFS= read -r group; do
                case $group in
                    *:/) ;;
                    0::/* | *:name=systemd:/*) keeper=${group##*:} ;;
                esac
            done 2> /dev/null < "/proc/$1/cgroup"
            ;;
        openrc | sysvinit)
            case $notes in
                *" $1 "*) keeper=noted ;;
                *) [ -n "$unread" ] || keeper=- ;;
            esac
            ;;
    esac
}

# Those of FreeBSD, likewise, without programs. There ps escapes what is in names.
bsd_processes() {
    fact=$(ps -axww -o pid= -o state= -o uid= -o jid= -o ucomm= 2> /dev/null)
    names=" $(document_text names) "
    sees_first=
    IFS=$json_newline
    set -- $fact
    unset IFS
    for fact do
        set -- $fact
        [ "$1" != 1 ] || sees_first=1
        # One of another jail is not the guest's.
        [ "$4:$#" = 0:5 ] || continue
        case $names in *" $5 "*) add "$1 ${2%"${2#?}"} $3 $5 " ;; esac
    done
    [ -n "$sees_first" ]
}

# process lines of daemons: number, state, owner, name, and program. It fails where processes of others are hidden.
# Sets keepers to a list of what they belong to: number, and keeper.
processes() {
    keepers=
    if [ "$kernel" = FreeBSD ]; then
        bsd_processes
        return
    fi
    sees_processes || return
    names=" $(document_text names) "
    look_at_notes
    set +f
    set -- /proc/[0-9]*
    set -f
    for path do
        look_at_process "$path" "$names" || continue
        process=${path#/proc/}
        add "$process $state $owner $name $program"
        look_for_keeper "$process"
        [ -z "$keeper" ] || keepers=${keepers:+$keepers,}$(json_string "$process $keeper")
    done
}

# What the init system says of the units or scripts that the document names. Sets shown to what systemd says.
units() {
    shown=
    case $init in
        systemd)
            fact=$(
                systemctl show --no-pager -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p MainPID \
                    -p Result -p ExecMainStatus -p InvocationID -- $(document_text units) 2> /dev/null
            )
            [ -n "$fact" ] || return
            shown=$fact
            add "$fact"
            ;;
        openrc | sysvinit)
            for name in $(document_text scripts); do
                [ -x "/etc/init.d/$name" ] || continue
                enabled=disabled
                set +f
                # OpenRC takes no notice of the links of the other.
                case $init in
                    openrc) set -- /etc/runlevels/*/"$name" ;;
                    *) set -- /etc/rc[2-5].d/S[0-9][0-9]"$name" ;;
                esac
                set -f
                for path do
                    [ ! -e "$path" ] || enabled=enabled
                done
                add "$name $enabled"
            done
            ;;
        rc)
            for name in $(document_text scripts); do
                [ ! -x "/etc/rc.d/$name" ] || add "$name"
            done
            ;;
        *) return 1 ;;
    esac
}

# Of those units, the ones that udev starts when a device comes; of FreeBSD's scripts and programs, those that devd does.
wanted() {
    if [ "$init" = rc ]; then
        fact=$(beginning /etc/devd/hyperv.conf)
        for name in $(document_text scripts) $(document_text programs); do
            case $fact in *"$name"*) add "$name" ;; esac
        done
        return 0
    fi
    [ "$init" = systemd ] || return
    set +f
    for path in /etc/udev/rules.d/*hyperv* /lib/udev/rules.d/*hyperv* /usr/lib/udev/rules.d/*hyperv* \
        /etc/udev/rules.d/*hv[-_]* /lib/udev/rules.d/*hv[-_]* /usr/lib/udev/rules.d/*hv[-_]*; do
        set -f
        [ -f "$path" ] || continue
        fact=$(beginning "$path")
        for name in $(document_text units); do
            case $fact in *SYSTEMD_WANTS*\""$name"\"*) add "$name" ;; esac
        done
    done
    set -f
}

# shown_value NAME: what systemd says of the unit in block.
shown_value() {
    fact=$json_newline$block$json_newline
    case $fact in *"$json_newline$1="*) ;; *) return ;; esac
    fact=${fact#*"$json_newline$1="}
    printf %s "${fact%%"$json_newline"*}"
}

# moment NAME: when that was, as systemd writes it, without day of the week and time zone, which not every version reads.
moment() {
    fact=$(shown_value "$1")
    fact=${fact#* }
    printf %s "${fact% *}"
}

# words UNIT RUN COMMAND...: the last lines that the journal has of that run; COMMAND... is what runs journalctl.
words() {
    name_of_unit=$1
    run_of_unit=$2
    shift 2
    set -- "$@" journalctl --quiet --no-pager -o cat -n 3
    lines=$("$@" "_SYSTEMD_INVOCATION_ID=$run_of_unit" 2> /dev/null) || lines=
    if [ -z "$lines" ]; then
        # Of a process that has ended before its lines are read, the journal knows the number, and no unit.
        block=$(systemctl show -p ExecMainPID -p ExecMainStartTimestamp -p ExecMainExitTimestamp -- "$name_of_unit" 2> /dev/null)
        process=$(shown_value ExecMainPID)
        began=$(moment ExecMainStartTimestamp)
        ended=$(moment ExecMainExitTimestamp)
        case $process:$began:$ended in 0:* | :* | *[!0-9:' '-]* | *::* | *:) return ;; esac
        # Later, the number may be another's.
        lines=$("$@" --since "$began" --until "${ended%:*}:59" "_PID=$process" 2> /dev/null) || lines=
    fi
    printf %s "$lines"
}

# Of units that have failed: name, and below it the last lines that the journal has of their last run. Not for who may not
# read it: others get nothing from it.
last_words() {
    case $shown in *ActiveState=failed*) ;; *) return 0 ;; esac
    rest=$shown$json_newline$json_newline
    while [ -n "$rest" ]; do
        block=${rest%%"$json_newline$json_newline"*}
        rest=${rest#*"$json_newline$json_newline"}
        [ "$(shown_value ActiveState)" = failed ] || continue
        name=$(shown_value Id)
        run=$(shown_value InvocationID)
        said=
        # A journal may be of any size.
        [ -z "$run" ] || said=$(words "$name" "$run" timeout 1)
        [ -z "$said" ] || said=$(printf %.1000s "$said")
        [ -z "$said" ] && [ "$user_id" != 0 ] || add "$name$json_newline$said"
    done
}

# The files of Data Exchange and the folders above them that are there: mode, and path at the end.
pools() {
    fact=$(ls -ldnL $(document_text pools) 2> /dev/null)
    [ -n "$fact" ] || return
    add "$fact"
}

# Each clock of this machine that others can be set by: device, and name. With refclock in front: a device that chrony is
# told to use.
clocks() {
    set +f
    set -- /sys/class/ptp/ptp*
    set -f
    for path do
        [ ! -e "$path/clock_name" ] || add "/dev/${path##*/} $(line "$path/clock_name")"
    done
    set +f
    set -- /etc/chrony.conf /etc/chrony/chrony.conf /etc/chrony.d/*.conf /etc/chrony/conf.d/*.conf
    set -f
    for path do
        [ -f "$path" ] && [ -r "$path" ] || continue
        count=0
        while [ "$count" -lt 1000 ] && read -r key value device _; do
            count=$((count + 1))
            case $key:$value in [Rr]efclock:PHC) add "refclock $device" ;; esac
        done < "$path"
    done
}

# What the package manager has installed of the packages that the document names: who says it, and below that its words.
# Sets manager.
packages() {
    manager=
    if [ -s /var/lib/dpkg/status ]; then
        manager=apt
    elif [ -s /lib/apk/db/installed ]; then
        manager=apk
    elif [ -d /var/lib/pacman/local ]; then
        manager=pacman
    elif command -v rpm > /dev/null 2>&1; then
        manager=rpm
    fi
    names=$(document_text "$manager")
    [ -n "$names" ] || return
    case $manager in
        apt) fact=$(dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' $names) ;;
        apk) fact=$(apk list --installed $names) ;;
        pacman) fact=$(pacman --query $names) ;;
        rpm) fact=$(rpm --query --queryformat '%{NAME} %{VERSION}-%{RELEASE}\n' $names) ;;
    esac 2> /dev/null
    add "$manager$json_newline$(printf %.4000s "$fact")"
}

# What it could install of them, likewise, as far as it knows without the net. That may take longer than all else here.
available() {
    [ -n "$(document_text available)" ] || return
    names=$(document_text "$manager")
    [ -n "$names" ] || return
    case $manager in
        apt) fact=$(timeout 2 apt-cache policy $names) ;;
        apk) fact=$(timeout 2 apk --no-network policy $names) ;;
        pacman) fact=$(timeout 2 pacman --sync --info $names) ;;
        *) return 1 ;;
    esac 2> /dev/null
    add "$manager$json_newline$(printf %.4000s "$fact")"
}

# pool_record KEY: its value in the pool of what the host says of itself. Records are 512 and 2048 bytes; what follows a
# null character in either is of no meaning.
pool_record() {
    pool=/var/lib/hyperv/.kvp_pool_3
    [ "$kernel" != FreeBSD ] || pool=/var/db/hyperv/pool/.kvp_pool_3
    [ -r "$pool" ] && command -v awk > /dev/null 2>&1 || return
    dd if="$pool" bs=2560 count=64 2> /dev/null | od -An -v -tx1 | awk -v "wanted=$1" '
        function byte(hex) { return index(digits, substr(hex, 1, 1)) * 16 + index(digits, substr(hex, 2, 1)) - 17 }
        BEGIN { digits = "0123456789abcdef"; for (i = 32; i < 127; i++) character[i] = sprintf("%c", i) }
        {
            for (i = 1; i <= NF; i++) {
                if (place == 0) { key = ""; value = ""; open = 1 }
                if (place == 512) open = (key == wanted)
                number = byte($i)
                if (number == 0) open = 0
                else if (open && place < 512) key = key character[number]
                else if (open) value = value character[number]
                place = (place + 1) % 2560
                if (place == 0 && key == wanted && !found) { found = 1; print value }
            }
        }'
}

# What the machine says of itself: vendor, product and hypervisor.
firmware() {
    if [ "$kernel" = FreeBSD ]; then
        vendor=$(kenv -q smbios.system.maker 2> /dev/null)
        product=$(kenv -q smbios.system.product 2> /dev/null)
        hypervisor=$(sysctl -n kern.vm_guest 2> /dev/null)
    else
        vendor=$(line /sys/class/dmi/id/sys_vendor)
        product=$(line /sys/class/dmi/id/product_name)
        hypervisor=$(line /sys/hypervisor/type)
    fi
}

# uptime: writes for how many seconds it has run.
uptime() {
    if [ "$kernel" = FreeBSD ]; then
        fact=$(sysctl -n kern.boottime 2> /dev/null)
        fact=${fact#*sec = }
        fact=${fact%%,*}
        case $fact in '' | *[!0-9]*) ;; *) printf %s "$(($(date +%s) - fact))" ;; esac
    else
        fact=$(line /proc/uptime)
        printf %s "${fact%%.*}"
    fi
}

# What FreeBSD has found on Hyper-V's bus.
bus() {
    [ "$kernel" = FreeBSD ] || return
    lines=$(devinfo 2> /dev/null)
    [ -n "$lines" ] || return
    for name in $lines; do
        case $name in vmbus[0-9]* | hv[a-z]*[0-9]) add "$name" ;; esac
    done
}

# facts: writes all of them, as the inside of a JSON object.
facts() {
    printf '"kernel":'
    json_text "$kernel"
    printf ',"kernel_release":'
    json_text "$(uname -r)"
    printf ',"machine":'
    json_text "$(uname -m)"
    printf ',"name":'
    json_text "$(uname -n)"
    printf ',"user_id":'
    json_number "$user_id"
    printf ',"init":'
    json_text "$init"
    printf ',"os_release":'
    release=$(beginning /etc/os-release)
    [ -n "$release" ] || release=$(beginning /usr/lib/os-release)
    json_text "$release"
    firmware
    printf ',"vendor":'
    json_text "$vendor"
    printf ',"product":'
    json_text "$product"
    printf ',"hypervisor":'
    json_text "$hypervisor"
    printf ',"vmbus":'
    if [ ! -d /sys/bus ]; then
        printf null
    elif [ -d /sys/bus/vmbus ]; then
        printf true
    else
        printf false
    fi
    printf ',"uptime":'
    json_number "$(uptime)"
    printf ',"bus":'
    list bus
    printf ',"driver":'
    if [ ! -d /sys/bus ]; then
        printf null
    elif [ -d /sys/bus/vmbus/drivers/hv_utils ] || [ -d /sys/bus/vmbus/drivers/hv_util ]; then
        printf true
    else
        printf false
    fi
    printf ',"module":'
    if [ ! -r /proc/modules ]; then
        printf null
    elif grep -q '^hv_util' /proc/modules 2> /dev/null; then
        printf true
    else
        printf false
    fi
    printf ',"channels":'
    list channels
    printf ',"devices":'
    list devices
    printf ',"processes":'
    list processes
    printf ',"keepers":[%s]' "$keepers"
    printf ',"programs":'
    list programs
    printf ',"units":'
    list units
    printf ',"wanted":'
    list wanted
    printf ',"last_words":'
    list last_words
    printf ',"pools":'
    list pools
    printf ',"clocks":'
    list clocks
    printf ',"packages":'
    list packages
    printf ',"available":'
    list available
    printf ',"vm_id":'
    json_text "$(pool_record VirtualMachineId)"
    printf ',"rights":'
    json_text "$rights"
}
