#!/usr/bin/env bash
# Writes through several connections, kills the server with SIGKILL at random moments, restarts it, and checks that every
# acknowledged write is there, that the others are there whole or not at all, and that retries take effect once.
#
#   scripts/crash-test.sh [--rounds 30] [--seed N] [--keep]
#
# The binary is $ATLAS_DB, or the newest of .build/debug and .build/release.
set -euo pipefail
cd "$(dirname "$0")/.."

source scripts/python-environment.sh
cd Tests/Process
exec "$python" -m crash.main "$@"
