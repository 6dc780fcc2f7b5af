#!/bin/sh
# The command of every image. `campaign FILE` begins a campaign or goes on with it; all else is a command of moireloop.
set -e
if [ -d /opt/kernels ] && [ -n "$NUMBA_CACHE_DIR" ] && [ ! -e "$NUMBA_CACHE_DIR" ]; then
    cp -r /opt/kernels "$NUMBA_CACHE_DIR" # numba wants a cache that it can write to
fi
if [ "$1" = campaign ]; then
    begun='
import sys
from pathlib import Path
from moireloop.campaign_file.load import read_campaign
sys.exit(not read_campaign(Path(sys.argv[1])).folder.connection_file.exists())'
    if python3 -c "$begun" "$2" 2>/dev/null; then command=resume; else command=run; fi
    exec moireloop "$command" "$2" --services elsewhere
fi
exec moireloop "$@"
