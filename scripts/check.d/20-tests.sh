#!/usr/bin/env bash
# The debug build without warnings, and all tests (the house rules are tests too).
set -euo pipefail
make --no-print-directory test
