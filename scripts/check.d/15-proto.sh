#!/usr/bin/env bash
# The generated code belongs to the .proto files beside it, and nobody has edited it.
set -euo pipefail
sha256sum --check --quiet --strict proto/generated.sha256
listed=$(awk '{print $2}' proto/generated.sha256 | sort)
present=$(find proto Sources/AtlasWire/Generated -name '*.proto' -o -name '*.swift' | sort)
diff <(echo "$listed") <(echo "$present") || { echo "run scripts/generate-proto.sh" >&2; exit 1; }
