#!/usr/bin/env bash
# release.sh [functions]: what a release has, in dist/; or the function's packages alone. ARCH=arm64 is for one processor only.
#
# Two builds of one commit have the same bytes, with the same rustc and zig, in any folders: no path of this machine is
# in them, and no time but the commit's. `make release-check` proves it. On macOS a release is rotatectl for macOS.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(cd "${TOOLS:-.tools}" && pwd) # make release-check lends its own to the second build
export PATH=$tools/lambda/bin:$tools/cyclonedx/bin:$PATH
export CARGO_TARGET_DIR=$PWD/target
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export RUSTFLAGS="--remap-path-prefix=$PWD=/source --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
processors=${ARCH:-arm64 x86_64}

# build PACKAGE SYSTEM [GLIBC]: for all processors at once, so that one compiles while the other links
build() {
  local arch targets=()
  for arch in $processors; do
    rustup --quiet target add "$(triple "$arch" "$2")"
    targets+=(--target "$(triple "$arch" "$2")${3:+.$3}")
  done
  cargo "$([ "$2" = apple-darwin ] && echo build || echo zigbuild)" --release --locked --package "$1" "${targets[@]}"
}

triple() { echo "${1/arm64/aarch64}-$2"; }

# ready PACKAGE SYSTEM FILE: for each processor PACKAGE as the FILE in dist/, and what it is made of
ready() {
  local arch file
  for arch in $processors; do
    file=dist/${3/ARCH/$arch}
    local built=target/$(triple "$arch" "$2")/release/$1
    case $file in
      *.zip) python3 local/scripts/bootstrap.py "$built" "$file" ;;
      *) install -m 755 "$built" "$file" ;;
    esac
    python3 local/scripts/sbom.py "$1" "$(triple "$arch" "$2")" >"${file%.zip}.cdx.json"
  done
}

functions() {
  build secret-rotation unknown-linux-gnu 2.34 # what provided.al2023 has
  ready secret-rotation unknown-linux-gnu secret-rotation-ARCH.zip
}

command -v rustup >/dev/null || { echo "rustup is missing, which knows the other processors. Install it from https://rustup.rs" >&2; exit 1; }
rm -rf dist
mkdir dist
case ${1:-}$(uname) in
  functions*) functions ;;
  Darwin)
    build rotatectl apple-darwin
    ready rotatectl apple-darwin rotatectl-ARCH-macos
    ;;
  *)
    functions
    build rotatectl unknown-linux-musl # static: it runs on any Linux
    ready rotatectl unknown-linux-musl rotatectl-ARCH-linux
    ;;
esac
sum=(sha256sum)
command -v sha256sum >/dev/null || sum=(shasum -a 256)
(cd dist && "${sum[@]}" -- * >SHA256SUMS)
ls -l dist
