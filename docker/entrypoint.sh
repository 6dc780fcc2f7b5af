#!/bin/sh
# The command of every image: its arguments are those that moireloop takes.
set -e
for word; do
    case $word in
    *.toml) if [ -d "$word" ]; then # Docker makes a folder of a file that is to be mounted and does not exist
        echo "moireloop: expected a campaign file at $word, got a folder: the file that MOIRELOOP_CAMPAIGN names" \
            "does not exist, and Docker made an empty folder of its name; remove that, then correct docker/.env" >&2
        exit 2
    fi ;;
    esac
done
if [ -d /opt/kernels ] && [ -n "$NUMBA_CACHE_DIR" ] && [ ! -e "$NUMBA_CACHE_DIR" ]; then
    cp -r /opt/kernels "$NUMBA_CACHE_DIR" # numba wants a cache that it can write to
fi
exec moireloop "$@"
