#!/usr/bin/env bash
# At least 40 SIGKILLs, and nothing that was acknowledged is lost.
set -euo pipefail
scripts/crash-test.sh --rounds 40
