#!/usr/bin/env bash
# The examples build and run.
set -euo pipefail
Examples/run.sh
