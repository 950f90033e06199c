# How this user becomes root. After the document come a name and the password that sudo asks for, if there is one: each
# with a colon in front.
sudo_password=${3-}
sudo_password=${sudo_password#:}

# by_password ARGUMENT...: sudo with the password, which is tried once: then its input is at the end.
by_password() {
    say "$sudo_password$json_newline" | sudo -S -p '' "$@" 2>&1
}

# look_at_sudo: finds out what it does for this user. A password that it refuses is an error.
look_at_sudo() {
    rights=sudo
    said=$(sudo -n true 2>&1 < /dev/null) && return
    rights='sudo with a password'
    case $said in *'must have a tty'*) rights='sudo on a terminal' ;; esac
    if [ "$rights:${sudo_password:+given}" != 'sudo with a password:given' ]; then return; fi
    if said=$(by_password -v); then
        rights=sudo
        takes_password=1
        return
    fi
    case $said in
        *'may not run sudo'* | *'in the sudoers'*) rights=none ;;
        *)
            refused=1
            failure SudoRefused AuthenticationError "$said" ''
            ;;
    esac
}

# rights: root, sudo, doas, either 'with a password', 'sudo on a terminal', or none.
user_id=$(id -u)
takes_password=
refused=
if [ "$user_id" = 0 ]; then
    rights=root
elif command -v sudo > /dev/null 2>&1; then
    look_at_sudo
elif command -v doas > /dev/null 2>&1; then
    rights=doas
    doas -n true > /dev/null 2>&1 < /dev/null || rights='doas with a password'
else
    rights=none
fi

# by_sudo COMMAND...: where it is not asked for, the command would find the password at its standard input.
by_sudo() {
    said=$(sudo -n -- "$@" 2>&1)
    status=$?
    case $takes_password:$status:$said in
        1:1:*'sudo: a password is required' | 1:1:*'sudo: interactive authentication is required')
            by_password -- "$@"
            return
            ;;
    esac
    printf '%s\n' "$said"
    return "$status"
}

# with_rights COMMAND...: runs it as root, if there is a way. Single commands may be allowed without a password.
with_rights() {
    case $rights in
        root) "$@" ;;
        sudo*) by_sudo "$@" ;;
        doas*) doas -n "$@" ;;
        *) return 1 ;;
    esac 2>&1 < /dev/null
}

# is_refusal STATUS TEXT: whether that is why a command was not run as root.
is_refusal() {
    text=$2
    # Of a name that it does not know, sudo only complains.
    while :; do
        case $text in *'sudo: unable to resolve host '*) ;; *) break ;; esac
        text=${text%%'sudo: unable to resolve host '*}${text#*'sudo: unable to resolve host '}
    done
    case $rights:$1:$text in
        none:* | sudo*:1:*'sudo: '* | sudo*:1:*'Sorry, user '* | doas*:1:*'doas: '*) return 0 ;;
        *) return 1 ;;
    esac
}
