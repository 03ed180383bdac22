#!/usr/bin/env bash
# crates.sh [--build] FEATURE…: counts the external crates that each feature of the client adds to a build. With --build it also measures a
# clean build with no feature, the default ones and all, in seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=
if [ "${1:-}" = --build ]; then build=yes && shift; fi

crates() { # OPTION…
  # cargo shows this repository's own crates with their folder, and a repeated crate with a star
  cargo tree --quiet --package rotating-secret --edges normal --prefix none "$@" |
    sed 's/ (\*)$//' | grep -v ' (/' | sort -u | wc -l
}

row() { # NAME OPTION…
  local name=$1 seconds=
  shift
  if [ -n "$build" ] && [[ $name = '('* ]]; then
    target=$(mktemp -d)
    SECONDS=0
    cargo build --quiet --package rotating-secret --target-dir "$target" "$@"
    seconds=$SECONDS
    rm -rf "$target"
  fi
  printf '%-24s %6s %10s\n' "$name" "$(crates "$@")" "$seconds"
}

target=
trap 'rm -rf "$target"' EXIT
printf '%-24s %6s %10s\n' feature crates "${build:+build (s)}"
row '(none)' --no-default-features
row '(default)'
row '(all)' --all-features
for feature in "$@"; do
  row "$feature" --no-default-features --features "$feature"
done
