#!/usr/bin/env bash
# The release build as its users meet it: API, old clients, bad input, full disks, damage, start and stop.
set -euo pipefail
scripts/process-tests.sh --quiet
