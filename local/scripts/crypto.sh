#!/usr/bin/env bash
# crypto.sh FEATURE…: checks that no feature of the client adds a crypto provider that its name does not say, or a feature of serde_json
# that changes how an application reads its own JSON. The deployed packages have ring, and no aws-lc.
set -euo pipefail
cd "$(dirname "$0")/../.."

refuse() { # NAME PATTERN TREE…: an error if the tree has a matching line
  local what=$1 pattern=$2 found
  shift 2
  found=$(cargo tree --quiet --prefix none --edges normal,build --format '{p} [{f}]' "$@")
  if found=$(grep --extended-regexp "$pattern" <<<"$found" | sort -u); then
    echo "$what adds what it must not add:"$'\n'"$found" >&2
    exit 1
  fi
}

for feature in '' "$@"; do
  case $feature in
    *aws-lc-rs) provider=ring ;;
    *ring) provider='aws-lc-(rs|sys)' ;;
    *) provider='(ring|aws-lc-rs|aws-lc-sys)' ;;
  esac
  refuse "rotating-secret with the feature '$feature'" \
    "^$provider v|^serde_json v.*(arbitrary_precision|preserve_order|float_roundtrip|unbounded_depth)" \
    --package rotating-secret --no-default-features --features "$feature"
done
for package in secret-rotation rotatectl; do
  refuse "$package" '^aws-lc-(rs|sys) v' --package "$package"
done
