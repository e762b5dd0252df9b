#!/usr/bin/env bash
# swift-format has nothing to say about any Swift file (generated files exempt themselves in their first lines).
set -euo pipefail
git ls-files -z --cached --others --exclude-standard -- '*.swift' | xargs -0 swift format lint --strict --parallel
