# Says which process it is, reads a script up to '#document' and its arguments, one a line, up to '#end', and runs it.
# Writes what it wrote between marks. If it failed, an error instead: $1 is the text of one, with %s for the status.
#
# It travels as one line between single quotes, for login shells of any kind. Comments are left out and lines joined
# with spaces; there is no single quote, no backslash and no exclamation mark in it.
set +ax;
exec 3>&1;
newline=$(echo; echo .);
newline=${newline%.};
call() {
    # Not $$, which may have ended while this child still runs the script.
    process=$$;
    started=;
    if { IFS= read -r stat < /proc/self/stat; } 2> /dev/null; then
        process=${stat%% *};
        set -- ${stat##*") "};
        started=${20};
    fi;
    echo "<hvintegration process=$process started=$started>" >&3;
    script=;
    while IFS= read -r line || exit 0; do
        case $line in "#document") break;; esac;
        script=$script$line$newline;
    done;
    set --;
    while IFS= read -r line || exit 0; do
        case $line in "#end") break;; esac;
        set -- "$@" "$line";
    done;
    exec < /dev/null 3>&-;
    eval "$script";
};
answer=$(call);
status=$?;
kind=answer;
case $status:$answer in
    0:) exit;;
    0:*) ;;
    *) kind=error; answer=$(printf "$1" "$status");;
esac;
echo "<hvintegration $kind>";
printf %s "$answer";
echo;
echo "<hvintegration end>";
