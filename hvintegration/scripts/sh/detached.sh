# A change is made by a process in a session of its own, under a name of its own: where the connection is lost, it goes on
# and can be seen. What the loader has read is in script.
case $document in
    *'"dry_run": false'* | *'"dry_run":false'*) dry_run=false ;;
    *) dry_run=true ;;
esac

if [ "$0" = hv-changing ]; then
    IFS= read -r sudo_password
    set -- "$document" : ":$sudo_password"
    exec < /dev/null
    # Nobody would end what reads a program that prints without end: it may have half a gigabyte.
    ulimit -S -v 524288 2> /dev/null
    { say hv-changing > "/proc/$$/comm"; } 2> /dev/null
elif [ "$dry_run" = false ] && [ -n "${script-}" ]; then
    sudo_password=${3-}
    in_session=
    if command -v setsid > /dev/null 2>&1; then in_session=setsid; else trap '' HUP; fi
    say "${sudo_password#:}$json_newline" | $in_session sh -c "$script" hv-changing "$document" 2> /dev/null
    exit
fi
