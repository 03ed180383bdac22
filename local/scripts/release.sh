#!/usr/bin/env bash
# release.sh [functions|layers]: builds the files of a release in dist/, or only the function's packages, or the agent's layers for Lambda.
# ARCH=arm64 is for one processor only.
#
# Two builds of one commit with the same rustc and zig have the same bytes in any folders: they contain no path of this machine, and no
# time except the commit's. `make release-check` proves it. On macOS a release is rotatectl for macOS.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(cd "${TOOLS:-.tools}" && pwd) # make release-check uses one set of tools for both builds
export PATH=$tools/lambda/bin:$tools/cyclonedx/bin:$PATH
export CARGO_TARGET_DIR=$PWD/target
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export RUSTFLAGS="--remap-path-prefix=$PWD=/source --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
processors=${ARCH:-arm64 x86_64}

# build PACKAGE SYSTEM [GLIBC]: builds for all processors at once, so that one compiles while the other links
build() {
  local arch targets=()
  for arch in $processors; do
    rustup --quiet target add "$(triple "$arch" "$2")"
    targets+=(--target "$(triple "$arch" "$2")${3:+.$3}")
  done
  cargo "$([ "$2" = apple-darwin ] && echo build || echo zigbuild)" --release --locked --package "$1" "${targets[@]}"
}

triple() { echo "${1/arm64/aarch64}-$2"; }

# ready PACKAGE SYSTEM FILE [NAME]: puts PACKAGE into dist/ as FILE for each processor, and the list of its crates; NAME is its name in a zip
ready() {
  local arch file
  for arch in $processors; do
    file=dist/${3/ARCH/$arch}
    local built=target/$(triple "$arch" "$2")/release/$1
    case $file in
      *.zip) python3 local/scripts/bootstrap.py "$built" "$file" "${4:-bootstrap}" ;;
      *) install -m 755 "$built" "$file" ;;
    esac
    python3 local/scripts/sbom.py "$1" "$(triple "$arch" "$2")" >"${file%.zip}.cdx.json"
  done
}

functions() {
  build secret-rotation unknown-linux-gnu 2.34 # the version of provided.al2023
  ready secret-rotation unknown-linux-gnu secret-rotation-ARCH.zip
}

layers() {
  build rotating-secret-agent unknown-linux-musl # static: for the runtimes of every Amazon Linux
  ready rotating-secret-agent unknown-linux-musl rotating-secret-agent-layer-ARCH.zip extensions/rotating-secret-agent
}

command -v rustup >/dev/null || { echo "rustup is missing; it installs the targets for other processors. Install it from https://rustup.rs" >&2; exit 1; }
rm -rf dist
mkdir dist
case ${1:-}$(uname) in
  functions*) functions ;;
  layers*) layers ;;
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
