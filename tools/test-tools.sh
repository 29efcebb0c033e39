#!/bin/sh
# Bring the servers and programs that the tests need and that are no Python packages.
#   tools/test-tools.sh            all that `make test` needs
#   tools/test-tools.sh NAME...    these
# With the system's package manager where it may be used, else unpacked into .sereno/tools (Debian).
# Where neither works, the tests that need it fail with a sentence that says what to do.
set -eu
cd "$(dirname "$0")/.."

needed='mariadb pgbouncer prometheus alertmanager ip faketime chromium'
if [ "$(uname)" = Linux ]; then needed="$needed systemd-analyze apache"; fi

# name: program ; apt ; dnf ; apk ; brew        (several packages: spaces; not to be had: -)
# Of MariaDB only the core, which brings no service.
table='
mariadb: mariadbd ; mariadb-server-core mariadb-client-core ; mariadb-server ; mariadb ; mariadb
prometheus: prometheus ; prometheus ; golang-github-prometheus ; prometheus ; prometheus
alertmanager: prometheus-alertmanager ; prometheus-alertmanager ; - ; alertmanager ; -
pgbouncer: pgbouncer ; pgbouncer ; pgbouncer ; pgbouncer ; pgbouncer
chromium: chromium ; chromium ; chromium ; chromium ; -
ip: ip ; iproute2 ; iproute ; iproute2 ; -
faketime: faketime ; faketime ; libfaketime ; libfaketime ; libfaketime
systemd-analyze: systemd-analyze ; systemd ; - ; - ; -
apache: apache2 ; apache2-bin libapache2-mod-wsgi-py3 ; - ; - ; -
'

say() { printf 'test-tools: %s\n' "$*" >&2; }

# Print column $2 of the tool $1; column 1 is the program.
column() {
    printf '%s\n' "$table" | sed -n "s/^$1: *//p" | cut -d ';' -f "$2" | sed 's/^ *//; s/ *$//'
}

is_there() {
    program=$(column "$1" 1)
    for place in $(printf %s "$PATH" | tr : ' ') /usr/sbin /usr/local/sbin /usr/local/bin \
        /usr/local/opt/"$1"/bin /opt/homebrew/bin /opt/homebrew/opt/"$1"/bin \
        .sereno/tools/"$1"/usr/bin .sereno/tools/"$1"/usr/sbin; do
        if [ -x "$place/$program" ]; then return; fi
    done
    return 1
}

quietly() { "$@" >>"$log" 2>&1; }

# -- with a package manager --------------------------------------------------------------------------

with_apt() {
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then # else a package would start its service
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    quietly apt-get install -y --no-install-recommends "$@" ||
        { quietly apt-get update && quietly apt-get install -y --no-install-recommends "$@"; } ||
        return 1
    # ... and would start it with the machine from now on.
    units=$(dpkg -L "$@" | sed -n 's#^\(/usr\)\{0,1\}/lib/systemd/system/\(.*\.\(service\|timer\)\)$#\2#p')
    if [ -n "$units" ] && command -v systemctl >/dev/null; then
        # shellcheck disable=SC2086 # one word for each unit
        quietly systemctl disable $units || :
    fi
}

# Install the tool $1 with whatever this system has; the columns are in the order of the table.
install() {
    [ "$1" != systemd-analyze ] || return 1 # whole systemd, for one program: unpacking is enough
    root=$([ "$(id -u)" = 0 ] && echo yes || echo no)
    if [ $root = yes ] && command -v apt-get >/dev/null; then
        set -- "$(column "$1" 2)" with_apt
    elif [ $root = yes ] && command -v dnf >/dev/null; then
        set -- "$(column "$1" 3)" quietly dnf install -y -q
    elif [ $root = yes ] && command -v apk >/dev/null; then
        set -- "$(column "$1" 4)" quietly apk add -q
    elif [ $root = no ] && command -v brew >/dev/null; then
        set -- "$(column "$1" 5)" quietly brew install -q
    else
        return 1
    fi
    packages=$1
    shift
    [ "$packages" != - ] || return 1
    # shellcheck disable=SC2086 # one word for each package
    "$@" $packages
}

# -- without root: Debian's packages, unpacked -------------------------------------------------------

unpack() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    packages=$(column "$1" 2)
    target=$PWD/.sereno/tools/$1
    rm -rf "$target.new" && mkdir -p "$target.new/debs"
    # shellcheck disable=SC2086
    missing=$(with_dependencies $packages) && [ -n "$missing" ] || {
        # The machine's lists of packages are empty or old: read new ones of our own.
        mkdir -p "$target.new/lists/partial" "$target.new/cache/archives/partial"
        APT_CONFIG=$target.new/apt.conf
        export APT_CONFIG
        printf 'Dir::State::lists "%s";\nDir::Cache "%s";\n' \
            "$target.new/lists" "$target.new/cache" >"$APT_CONFIG"
        quietly apt-get update || return 1
        # shellcheck disable=SC2086
        missing=$(with_dependencies $packages) && [ -n "$missing" ] || return 1
    }
    # shellcheck disable=SC2086
    (cd "$target.new/debs" && quietly apt-get download $missing) || return 1
    for deb in "$target.new"/debs/*.deb; do
        quietly dpkg -x "$deb" "$target.new" || return 1
    done
    rm -rf "$target" "$target.new/debs" "$target.new/lists" "$target.new/cache"
    mv "$target.new" "$target"
}

# Print the packages that an installation would add, found out without root.
with_dependencies() {
    apt-get --simulate install --no-install-recommends "$@" 2>>"$log" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

# ----------------------------------------------------------------------------------------------------

[ -n "${1:-}" ] || set -- $needed
for tool in "$@"; do
    if [ -z "$(column "$tool" 1)" ]; then
        say "unknown tool '$tool': the table in $0 has them all"
        exit 2
    fi
    if is_there "$tool"; then continue; fi
    if [ "$tool" = mariadb ] && [ -n "${SERENO_TEST_MARIADB_URL:-}" ]; then continue; fi
    mkdir -p .sereno/tools
    log=$PWD/.sereno/tools/$tool.log
    : >"$log"
    say "installing $tool: a few seconds"
    if (install "$tool") || (unpack "$tool"); then
        continue
    fi
    tail -n 3 "$log" >&2
    say "$tool could not be installed (see $log): the tests that need it will fail"
done
