#!/usr/bin/env bash
# Regenerates Sources/AtlasWire/Generated from proto/. The result is committed, so that a build needs neither protoc
# nor the plugin; run this after a change of a .proto file.
#
#   scripts/generate-proto.sh           regenerate
#   scripts/generate-proto.sh --check   fail if what is committed differs from what would be generated
#
# protoc comes from Debian (protobuf-compiler), the plugin from the resolved swift-protobuf package.
set -euo pipefail
cd "$(dirname "$0")/.."

output=Sources/AtlasWire/Generated
plugin_build=.build/protoc-gen-swift
check=false
case "${1:-}" in
    "") ;;
    --check) check=true ;;
    *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

command -v protoc >/dev/null || scripts/setup.sh protobuf-compiler libprotobuf-dev

[ -d .build/checkouts/swift-protobuf ] || swift package resolve
swift build --package-path .build/checkouts/swift-protobuf --scratch-path "$plugin_build" \
    -c release --product protoc-gen-swift

target=$output
if $check; then
    target=$(mktemp -d)
    trap 'rm -rf "$target"' EXIT
else
    rm -rf "$output"
    mkdir -p "$output"
fi

mapfile -t sources < <(cd proto && find . -name '*.proto' | sed 's|^\./||' | sort)
protoc --plugin="$plugin_build/release/protoc-gen-swift" \
    --proto_path=proto \
    --swift_opt=Visibility=Package \
    --swift_opt=UseAccessLevelOnImports=true \
    --swift_opt=FileNaming=DropPath \
    --swift_out="$target" \
    "${sources[@]}"

if ! $check; then
    # For scripts/check.d/15-proto.sh: which sources the committed code was made of.
    find proto "$output" -name '*.proto' -o -name '*.swift' | LC_ALL=C sort | xargs sha256sum >proto/generated.sha256
else
    diff -ru "$output" "$target" || { echo "generated code is stale: run scripts/generate-proto.sh" >&2; exit 1; }
    echo "generated code is up to date"
fi
