#!/bin/sh
# Runs a command that depends on a network, and after a failure twice more: 5 s and 20 s later, because mirrors and
# package indexes hiccup. Ends as the last run does. `patiently.sh COMMAND…`
for pause_s in ${PATIENTLY_PAUSES-5 20}; do
    "$@" && exit 0
    echo "failed, once more in $pause_s s: $*" >&2
    sleep "$pause_s"
done
exec "$@"
