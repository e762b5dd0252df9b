#!/usr/bin/env bash
# The debug build without warnings, and the Swift tests (the house rules are tests too).
set -euo pipefail
swift build --build-tests

# Those that only compute share the cores; those that look at clocks, sockets and processes run one after the other,
# because a test that waits for a deadline says nothing about a machine that is busy with other tests.
pure='^(AtlasCoreTests|AtlasWireTests|HouseTests)\.'
swift test --skip-build --filter "$pure"
swift test --skip-build --no-parallel --skip "$pure"
