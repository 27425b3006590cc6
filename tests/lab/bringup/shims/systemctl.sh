#!/bin/sh
# Stands for systemctl in a lab node: systemd-networkd is real, other units are a word in /run/lab/units/.
# The one rule: strict. A verb, option or unit that is not here fails in systemd's words, so that nothing passes unseen.
umask 022
mkdir -p /run/lab/units 2>/dev/null
[ ! -w /run/lab ] || echo "systemctl $*" >>/run/lab/calls
quiet= now=
while :; do
    case ${1:-} in
        -q | --quiet) quiet=1 ;;
        --no-block | --no-pager | --no-ask-password | --system | --plain | --no-legend) ;;
        --now) now=1 ;;
        -*) echo "systemctl: unrecognized option '$1'" >&2; exit 1 ;;
        *) break ;;
    esac
    shift
done
verb=${1:-}
[ $# -eq 0 ] || shift
names=
show=
value=
while [ $# -gt 0 ]; do
    case $1 in
        -q | --quiet) quiet=1 ;;
        --no-block | --no-pager | --no-ask-password) ;;
        --now) now=1 ;;
        --value) value=1 ;;
        -p) show=$2; shift ;;
        --property=*) show=${1#*=} ;;
        -p*) show=${1#-p} ;;
        -*) echo "systemctl: unrecognized option '$1'" >&2; exit 1 ;;
        *) names="$names ${1%.service}" ;;
    esac
    shift
done

networkd() { pidof systemd-networkd >/dev/null; }
start_networkd() {
    networkd && return
    (setsid /lib/systemd/systemd-networkd >>/run/networkd.log 2>&1 </dev/null &)
    tries=0
    until networkctl --no-pager list >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || return 1
        sleep 0.05
    done
}
stop_networkd() {
    pid=$(pidof systemd-networkd) || return 0
    kill $pid
    while networkd; do sleep 0.02; done
}
known() { # a unit that this machine has; the others come with their packages
    case $1 in
        systemd-networkd | systemd-networkd.socket | systemd-networkd-wait-online | systemd-timesyncd | ssh | docker | \
            containerd | netplan-ovs-cleanup | netplan-wpa-* | netplan-wpa@* | dgx-dashboard | avahi-daemon) ;;
        *) [ -e "/lib/systemd/system/$1.service" ] && [ -e "/var/lib/lab/packages/$1" ] ;;
    esac
}
state() {
    case $1 in
        systemd-networkd | systemd-networkd.socket) networkd && echo active || echo inactive ;;
        *) cat "/run/lab/units/$1" 2>/dev/null || default "$1" ;;
    esac
}
default() {
    case $1 in
        docker | containerd | ssh | systemd-timesyncd | dgx-dashboard | avahi-daemon) echo active ;;
        *) is_enabled "$1" && echo active || echo inactive ;;
    esac
}
is_enabled() {
    case $1 in
        earlyoom) [ -L "/etc/systemd/system/multi-user.target.wants/$1.service" ] ;;
        netplan-*) return 1 ;;
        *) known "$1" ;;
    esac
}
start_docker() { # it looks once at its configuration and for the toolkit: docker.py answers by what it saw then
    cp /etc/docker/daemon.json /run/lab/docker.json 2>/dev/null || echo '{}' >/run/lab/docker.json
    command -v nvidia-container-runtime-hook >/run/lab/docker-hook || :
    echo 1 >/run/docker.pid
}
needs_root() {
    [ "$(id -u)" = 0 ] || { echo "Failed to $verb$names: Interactive authentication required." >&2; exit 1; }
}
must_know() {
    known "$1" || { echo "Failed to $verb $1.service: Unit $1.service not found." >&2; exit 5; }
}
put() { # put UNIT VERB
    case $1:$2 in
        systemd-networkd:start) start_networkd ;;
        systemd-networkd:stop) stop_networkd ;;
        systemd-networkd:*) stop_networkd; start_networkd ;;
        *:stop) echo inactive >"/run/lab/units/$1" ;;
        *) if [ -e "/run/lab/breaks-$1" ]; then
               echo failed >"/run/lab/units/$1"
               echo "Job for $1.service failed because the control process exited with error code." >&2
               exit 1
           fi
           [ "$1" != docker ] || start_docker
           echo active >"/run/lab/units/$1" ;;
    esac
}

case $verb in
    daemon-reload) needs_root ;;
    start | stop | restart | try-restart | reload | reload-or-restart)
        needs_root
        for name in $names; do
            case $name in netplan-wpa* | netplan-ovs-cleanup) continue ;; esac
            must_know "$name"
            put "$name" "$verb" || exit 1
        done ;;
    enable | disable)
        needs_root
        for name in $names; do
            must_know "$name"
            link=/etc/systemd/system/multi-user.target.wants/$name.service
            case $name:$verb in
                earlyoom:enable) mkdir -p "${link%/*}"; ln -sf "/lib/systemd/system/$name.service" "$link" ;;
                earlyoom:disable) rm -f "$link" ;;
            esac
            [ -z "$now" ] || put "$name" "$([ "$verb" = enable ] && echo start || echo stop)" || exit 1
        done ;;
    is-active)
        code=3
        for name in $names; do
            now=$(state "$name")
            [ -n "$quiet" ] || echo "$now"
            [ "$now" != active ] || code=0
        done
        exit $code ;;
    is-enabled)
        code=1
        for name in $names; do
            if ! known "$name"; then
                [ -n "$quiet" ] || echo "Failed to get unit file state for $name.service: No such file or directory" >&2
            elif is_enabled "$name"; then
                [ -n "$quiet" ] || echo enabled
                code=0
            else
                [ -n "$quiet" ] || echo disabled
            fi
        done
        exit $code ;;
    is-failed)
        code=1
        for name in $names; do
            [ -n "$quiet" ] || state "$name"
            [ "$(state "$name")" != failed ] || code=0
        done
        exit $code ;;
    is-system-running) echo running ;;
    show)
        for name in $names; do
            loaded=not-found
            ! known "$name" || loaded=loaded
            for key in $(echo "${show:-Id,LoadState,ActiveState,SubState}" | tr , ' '); do
                case $key in
                    Id) text=$name.service ;;
                    LoadState) text=$loaded ;;
                    ActiveState) text=$(state "$name") ;;
                    SubState) [ "$(state "$name")" = active ] && text=running || text=dead ;;
                    UnitFileState) is_enabled "$name" && text=enabled || text=disabled ;;
                    *) continue ;;
                esac
                [ -n "$value" ] && echo "$text" || echo "$key=$text"
            done
        done ;;
    *) echo "Unknown command verb $verb." >&2; exit 1 ;;
esac
