#!/usr/bin/env bash
# The gRPC of this package against other implementations of it.
set -euo pipefail
Tests/Interop/run.sh
