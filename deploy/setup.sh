#!/usr/bin/env bash
# Installs what the named parts need into .venv and .tools; what is there already costs nothing.
#   deploy/setup.sh python node mongod nats chromium promtool
# System packages come from apt: installed as root or through sudo, otherwise unpacked under .tools/debian.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DEBIAN="$PWD/.tools/debian"
export PIP_DISABLE_PIP_VERSION_CHECK=1 DEBIAN_FRONTEND=noninteractive

say() { if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

main() {
    local part
    for part in "$@"; do
        case "$part" in
            python | node | mongod | nats | chromium | promtool) "part_$part" ;;
            *) fail "no such part: $part (python, node, mongod, nats, chromium, promtool)" ;;
        esac
    done
}

# --- parts -----------------------------------------------------------------------------------------------------------

part_python() {
    local python stamp
    python=$(find_python)
    stamp=$("$python" -V | cat - requirements.lock pyproject.toml <(pwd) | sha256sum | cut -d' ' -f1)
    done_before .venv "$stamp" && .venv/bin/python -c '' 2>/dev/null && return
    .venv/bin/python -m pip --version >/dev/null 2>&1 || make_venv "$python"
    say "Python packages into .venv (a minute or two, once)"
    .venv/bin/python -m pip install --progress-bar off -r requirements.lock
    .venv/bin/python -m pip install --progress-bar off --quiet --no-deps -e .
    mark_done .venv "$stamp"
}

part_node() {
    local stamp
    stamp=$(sha256sum <deploy/tools.lock | cut -d' ' -f1)
    done_before .tools "$stamp" && return
    have npm || system_packages npm nodejs npm || fail "npm is missing; install Node 18 or newer: https://nodejs.org"
    have npm || fail "npm is missing; install Node 18 or newer: https://nodejs.org"
    say "Simulated chain (anvil) and Solidity compiler into .tools (once)"
    mkdir -p .tools
    xargs npm install --prefix .tools --no-save --no-package-lock --no-audit --no-fund --loglevel=error <deploy/tools.lock >&2
    mark_done .tools "$stamp"
}

# The mongod in the wheel wants libcurl from the system.
part_mongod() {
    local mongod
    have mongod && return
    mongod=$(echo .venv/lib/python*/site-packages/fiftyone/db/bin/mongod)
    [ -e "$mongod" ] || { say "No embedded mongod for $(uname -sm): install mongod, or give a mongodb:// URL"; return 0; }
    loads "$mongod" && return
    system_packages "the libraries of mongod" libcurl4 ||
        { say "mongod needs libcurl4 (apt-get install libcurl4); the embedded store will not start without it"; return 0; }
    loads "$mongod" || wrap mongod "$PWD/$mongod"
}

# Only tests and benchmarks need it: the service talks to whatever server the configuration names.
part_nats() {
    have nats-server && return
    [ -x /usr/sbin/nats-server ] && return # where Debian puts it, and PATH may not lead
    if ! system_packages "a NATS server, for the tests of publishing" nats-server; then
        say "No nats-server on PATH, and none can be installed here: the tests that need one will be skipped."
        say "To run them: apt-get install nats-server (Debian, Ubuntu), or https://nats.io/download"
        return 0
    fi
    have nats-server || [ -x /usr/sbin/nats-server ] || wrap nats-server "$DEBIAN/usr/sbin/nats-server"
}

# Only the page's test needs it.
part_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do have "$name" && return; done
    if ! { grep -qs '^ID=debian' /etc/os-release && system_packages "Chromium, for the test of the page" chromium; }; then
        say "No Chromium or Chrome on PATH, and none can be installed here: the page's own test will be skipped."
        say "To run it: apt-get install chromium (Debian), or install Chrome."
        return 0
    fi
    have chromium || wrap chromium "$DEBIAN/usr/lib/chromium/chromium"
}

# Only the test of the alerts needs it. Unpacked also by root: installed, a server would start with it.
part_promtool() {
    have promtool && return
    if ! { have apt-get && say "promtool, for the test of the alerts" && unpack_packages prometheus; }; then
        say "No promtool on PATH, and it cannot be fetched here: two tests of the alerts will be skipped."
        say "To run them: put promtool on PATH; Prometheus comes with it."
        return 0
    fi
    wrap promtool "$DEBIAN/usr/bin/promtool"
}

# --- how -------------------------------------------------------------------------------------------------------------

done_before() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }
mark_done() { echo "$2" >"$1/.stamp"; }
loads() { ! LC_ALL=C ldd "$1" 2>&1 | grep -q 'not found'; }

find_python() {
    local python
    for python in "${PYTHON:-python3}" python3.11 python3.12 python3.13; do
        have "$python" && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo "$python"; return; }
    done
    fail "Python 3.11 or newer is missing (or name it: make PYTHON=/path/to/python3.11 ...)"
}

make_venv() {
    local python=$1 pip
    rm -rf .venv
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
        return
    fi
    # Debian keeps pip out of the venv module; the wheel in this package is pip all the same.
    system_packages "pip, which this Python lacks" python3-pip-whl || fail "this Python makes no virtual environments; install python3-venv"
    pip=$(find /usr/share/python-wheels "$DEBIAN/usr/share/python-wheels" -name 'pip-*.whl' 2>/dev/null | head -n 1 || true)
    "$python" -m venv --without-pip .venv
    .venv/bin/python "$pip/pip" install --quiet --no-index "$pip"
}

# system_packages WHY PACKAGE...: false where this machine cannot.
system_packages() {
    local why=$1
    shift
    have apt-get || return 1
    say "System packages for $why: $*"
    if [ "$(id -u)" = 0 ]; then
        apt_install "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        apt_install "$@"
    else
        unpack_packages "$@"
    fi
}

apt_install() {
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    "${root[@]}" apt-get -qq -o Acquire::Retries=3 update >&2 &&
        "${root[@]}" apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" </dev/null >&2
}

# Without root: download the packages and what they depend on, and unpack them here.
unpack_packages() {
    local apt=(-q -o "Dir::State::Lists=$DEBIAN/lists" -o "Dir::Cache=$DEBIAN/cache" -o Debug::NoLocking=1 -o Acquire::Retries=3 -o APT::Sandbox::User=)
    local deb
    mkdir -p "$DEBIAN/lists/partial" "$DEBIAN/cache/archives/partial"
    apt-get "${apt[@]}" update >&2 || return 1
    apt-get "${apt[@]}" -y --download-only install --no-install-recommends "$@" </dev/null >&2 || return 1
    for deb in "$DEBIAN"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$DEBIAN" || return 1; done
    rm -rf "$DEBIAN/cache" "$DEBIAN/lists"
}

# wrap NAME PROGRAM: .tools/bin/NAME runs it with the unpacked libraries; the Makefile puts .tools/bin on PATH.
wrap() {
    local libraries
    libraries=$(find "$DEBIAN" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)
    mkdir -p .tools/bin
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$libraries" "$2" >".tools/bin/$1"
    chmod +x ".tools/bin/$1"
}

main "$@"
