# {info, devices, programs, names, units} -> facts, see the operation that reads them. What could not be read is null.
# devices, programs: paths; names: of processes, cut at 15 characters; units: of the init system. All with spaces between.

# rights: how this user can become root: root, nopasswd, password or none.
rights() {
    if [ "$user_id" = 0 ]; then
        printf root
    elif command -v sudo > /dev/null 2>&1; then
        if sudo -n true > /dev/null 2>&1; then printf sudo; else printf 'sudo with a password'; fi
    elif command -v doas > /dev/null 2>&1; then
        if doas -n true > /dev/null 2>&1; then printf doas; else printf 'doas with a password'; fi
    else
        printf none
    fi
}

# pool_record KEY: its value in the pool of what the host says of itself. Records are 512 and 2048 bytes; what follows a
# null character in either is of no meaning.
pool_record() {
    [ -r /var/lib/hyperv/.kvp_pool_3 ] && command -v awk > /dev/null 2>&1 || return
    dd if=/var/lib/hyperv/.kvp_pool_3 bs=2560 count=64 2> /dev/null | od -An -v -tx1 | awk -v "wanted=$1" '
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

result=$(
    printf '{"kernel":'
    json_text "$(uname -s)"
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
    release=$(lines /etc/os-release)
    [ -n "$release" ] || release=$(lines /usr/lib/os-release)
    json_text "$release"
    printf ',"vendor":'
    json_text "$(line /sys/class/dmi/id/sys_vendor)"
    printf ',"product":'
    json_text "$(line /sys/class/dmi/id/product_name)"
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
    printf ',"programs":'
    list programs
    printf ',"units":'
    list units
    printf ',"wanted":'
    list wanted
    printf ',"vm_id":'
    json_text "$(pool_record VirtualMachineId)"
    printf ',"rights":'
    json_text "$(rights)"
    printf '}'
)
