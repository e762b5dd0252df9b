#!/usr/bin/env bash
# Three regions of three nodes at their distances, clients in each of them, and everything that goes wrong: crashes,
# pauses, cuts, slow lines, a lost disk. At the end the history of all clients is checked.
#
#   scripts/torture.sh [--minutes 3 | --seconds N] [--seed N] [--keep] [--at-once N] [--other ATLAS_DB]
#
# With --other, a second version's atlas-db, each start of a node takes one of the two: an upgrade that goes back and
# forth. The binary is $ATLAS_DB, or the newest of .build/debug and .build/release; the relay is that of $ATLAS_DB_RELAY, or
# of the same.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/python-environment.sh
cd Tests/Process
exec "$python" -m torture.main "$@"
