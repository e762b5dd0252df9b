#!/usr/bin/env bash
# Installs the system packages that Atlas DB builds and links with (Debian and Ubuntu). Does nothing, quickly, where
# they are installed.
#
#   scripts/setup.sh [PACKAGE...]     and these packages too
set -euo pipefail

packages=(librocksdb-dev libxxhash-dev "$@")

if ! command -v apt-get >/dev/null; then
    echo "setup: no apt-get here; install the equivalents of: ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
