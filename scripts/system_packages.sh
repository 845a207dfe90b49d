#!/bin/sh
# Installs the SIP peers of the interop tests, a synthesiser and PostgreSQL (Debian, Ubuntu). Without root it says what is
# missing: those tests skip.
set -u
missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v baresip >/dev/null 2>&1 || missing="$missing baresip-core"
command -v flite >/dev/null 2>&1 || missing="$missing flite"
{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    # The tests run a server of their own; the package need not make and start one.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    patiently="$(dirname "$0")/patiently.sh"
    apt="apt-get -qq -o Acquire::Retries=3 -o Acquire::http::Timeout=60 -o DPkg::Lock::Timeout=120"
    export DEBIAN_FRONTEND=noninteractive
    "$patiently" $apt update
    "$patiently" $apt install -y --no-install-recommends $missing >/dev/null && exit 0
    # One that cannot be had must not keep the others away.
    for package in $missing; do
        $apt install -y --no-install-recommends "$package" >/dev/null || echo "not installed: $package"
    done
    exit 0
fi
echo "not installed:$missing. Tests that need them are skipped. Fix: sudo apt-get install$missing"
