#!/bin/sh
# Installs the Debian packages of debian-packages.txt that are missing, where this may be done: as root, with apt-get.
# It never fails and lasts five minutes at most: tests whose programs are absent skip, and say which.
cd "$(dirname "$0")" || exit 0
missing=
while read -r package; do
    [ -z "$package" ] || dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done < debian-packages.txt
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "missing Debian packages (tests that need them skip):$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1  # RUNLEVEL=1: invoke-rc.d starts no daemons
get() { seconds=$1 && shift && timeout "$seconds" apt-get -qq -o DPkg::Lock::Timeout=60 "$@" > /dev/null 2>&1; }
install() { get "$1" install -y --no-install-recommends $2; }  # unquoted: package by package
get 90 -o Acquire::Retries=1 update
install 200 "$missing" || for package in $missing; do install 60 "$package"; done
exit 0
