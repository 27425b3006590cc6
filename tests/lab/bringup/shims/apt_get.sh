#!/bin/sh
# Stands for apt-get: brings what packages.txt names, from the folder beside it. /var/lib/lab/no-network: as without one.
# The one rule: strict; words and exit codes as apt 2.7 has them.
here=$(dirname "$(readlink -f "$0")")
verb=
names=
dry=
while [ $# -gt 0 ]; do
    case $1 in
        -y | --yes | -q | -qq | --no-install-recommends | --assume-yes) ;;
        -s | --simulate | --dry-run) dry=1 ;;
        -o) shift ;;
        -*) echo "E: Command line option '$1' is not understood in combination with the other options" >&2; exit 100 ;;
        *) [ -n "$verb" ] && names="$names $1" || verb=$1 ;;
    esac
    shift
done
fail() { echo "$1" >&2; exit 100; }
lock=/var/lib/dpkg/lock-frontend
[ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail "E: Could not open lock file $lock - open (13: Permission denied)
E: Unable to acquire the dpkg frontend lock ($lock), are you root?"
offline() {
    [ -e /var/lib/lab/no-network ] || return 0
    fail "E: Failed to fetch http://ports.ubuntu.com/ubuntu-ports/pool/  Temporary failure resolving 'ports.ubuntu.com'
E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?"
}
case $verb in
    update)
        if [ -e /var/lib/lab/no-network ]; then
            echo "W: Failed to fetch http://ports.ubuntu.com/ubuntu-ports/dists/noble/InRelease  Temporary failure resolving 'ports.ubuntu.com'" >&2
            echo "W: Some index files failed to download. They have been ignored, or old ones used instead." >&2
        fi
        exit 0 ;;
    install)
        echo "Reading package lists..."
        for name in $names; do
            grep -q "^$name " "$here/packages.txt" || [ -e "/var/lib/lab/packages/$name" ] ||
                fail "E: Unable to locate package $name"
        done
        for name in $names; do
            if [ -e "/var/lib/lab/packages/$name" ]; then
                echo "$name is already the newest version ($(cat "/var/lib/lab/packages/$name"))."
                continue
            fi
            [ -z "$dry" ] || continue
            offline
            grep "^$name " "$here/packages.txt" | {
                read -r _ version file commands
                for command in $commands; do # a file of its own, which is as old as its installation
                    install -m 755 "$here/$file" "/usr/local/bin/$command"
                done
                mkdir -p /var/lib/lab/packages
                echo "$version" >"/var/lib/lab/packages/$name"
                echo "Setting up $name ($version) ..."
            }
            case $name in earlyoom) # it comes with its unit, enabled and running, and with its defaults
                printf '[Unit]\nDescription=Early OOM Daemon\n' >"/lib/systemd/system/$name.service"
                [ -e /etc/default/earlyoom ] || echo 'EARLYOOM_ARGS="-r 3600"' >/etc/default/earlyoom
                systemctl enable --now "$name" ;;
            esac
        done ;;
    remove | purge)
        for name in $names; do
            [ -e "/var/lib/lab/packages/$name" ] || continue
            [ -z "$dry" ] || continue
            grep "^$name " "$here/packages.txt" | {
                read -r _ _ _ commands
                for command in $commands; do rm -f "/usr/local/bin/$command"; done
            }
            case $name in earlyoom) systemctl disable --now "$name"; rm -f "/lib/systemd/system/$name.service" ;; esac
            [ "$verb" = remove ] || rm -f "/etc/default/$name"
            rm -f "/var/lib/lab/packages/$name"
        done ;;
    *) fail "E: Invalid operation $verb" ;;
esac
