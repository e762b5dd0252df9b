#!/usr/bin/env bash
# Tests of the built atlas-db from outside: real processes, real clients, crashes, bad input, full disks. Further
# arguments go to pytest.
#
#   scripts/process-tests.sh                         all but the crash test (scripts/crash-test.sh)
#   scripts/process-tests.sh service/test_scan.py    a part
#   scripts/process-tests.sh -k retries -x           as pytest understands it
#
# The binary is $ATLAS_DB, or the newest of .build/debug and .build/release.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/python-environment.sh
cd Tests/Process
exec "$python" -m pytest "$@"
