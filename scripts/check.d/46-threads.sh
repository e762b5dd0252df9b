#!/usr/bin/env bash
# The server under ThreadSanitizer, with snapshots, splits, moves, long work and load at once.
set -euo pipefail
scripts/threads.sh
