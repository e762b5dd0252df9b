#!/usr/bin/env bash
# Generates the Python stubs of the API into a directory: stubs.sh DIRECTORY
set -euo pipefail
proto=$(cd "$(dirname "$0")/../../proto" && pwd)
"${PYTHON:-python3}" -m grpc_tools.protoc -I "$proto" --python_out="$1" --grpc_python_out="$1" "$proto/atlas/atlas.proto"
