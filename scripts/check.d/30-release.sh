#!/usr/bin/env bash
# The release build.
set -euo pipefail
make --no-print-directory release
