#!/usr/bin/env bash
# Three regions, 75 seconds of crashes, pauses, cuts and slow lines, and a linearizable history.
set -euo pipefail
scripts/torture.sh --seconds 75
