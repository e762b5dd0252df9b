#!/usr/bin/env bash
# Three regions, three minutes of crashes, pauses, cuts and slow lines, and a linearizable history.
set -euo pipefail
scripts/torture.sh --minutes 3
