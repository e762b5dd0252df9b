#!/usr/bin/env bash
# Everything that must hold before a change is merged. Each check is a script in scripts/check.d, run in the order of
# its number; to add one, add a script.
#
#   scripts/check.sh               all
#   scripts/check.sh --fast        those below 30: format, generated code, Swift tests, 200 simulator seeds
#   scripts/check.sh --skip NAME   all but one
#   scripts/check.sh NAME...       these, such as: scripts/check.sh format tests
set -euo pipefail
cd "$(dirname "$0")/.."

fast=false
skipped=""
chosen=()
while [ $# -gt 0 ]; do
    case "$1" in
        --fast) fast=true; export ATLAS_SIM_SEEDS=${ATLAS_SIM_SEEDS:-200} ;;
        --skip) skipped=${2:?"--skip needs a name"}; shift ;;
        -*) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2 ;;
        *) chosen+=("$1") ;;
    esac
    shift
done

all=()
for script in scripts/check.d/[0-9][0-9]-*.sh; do
    name=${script##*/[0-9][0-9]-}
    all+=("${name%.sh}")
done
for name in "${chosen[@]}" $skipped; do
    [[ " ${all[*]} " == *" $name "* ]] || { echo "check: no check named $name; there are: ${all[*]}" >&2; exit 2; }
done

ran=0
for script in scripts/check.d/[0-9][0-9]-*.sh; do
    number=${script##*/}
    name=${number#[0-9][0-9]-}
    name=${name%.sh}
    if $fast && [ "$((10#${number%%-*}))" -ge 30 ]; then continue; fi
    if [ "$name" = "$skipped" ]; then continue; fi
    if [ ${#chosen[@]} -gt 0 ] && [[ " ${chosen[*]} " != *" $name "* ]]; then continue; fi
    echo "== $name"
    started=$SECONDS
    bash "$script" || { echo "check: $name FAILED" >&2; exit 1; }
    echo "== $name: ok ($((SECONDS - started)) s)"
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "check: nothing was run" >&2; exit 1; }
echo "check: $ran checks passed"
