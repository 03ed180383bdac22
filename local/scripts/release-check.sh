#!/usr/bin/env bash
# release-check.sh: checks whether the files in dist/ may be released, one line a check. `make release` made them from the current commit.
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
world=''
finish() {
  [ -z "$world" ] || kill "$world" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

ok() { echo "release: ok       $*"; }
skipped() { echo "release: skipped  $*"; }
failed() { echo "release: FAILED   $*" >&2; exit 1; }

# runner ARCH: the command that starts an executable for this processor; empty on the same processor. Fails if there is none.
runner() {
  local arch=${1/arm64/aarch64}
  [ "$arch" != "$(uname -m)" ] || return 0
  local emulator
  emulator=$(command -v "qemu-$arch" || command -v "qemu-$arch-static") || return
  echo "$emulator -L /usr/$arch-linux-gnu"
}

[ "$(uname)" = Linux ] || failed "it checks the files of a build on Linux: run it on Linux"

# The checks below use the commit, so every change must be in it.
[ -z "$(git status --porcelain)" ] || failed "there are uncommitted changes. Commit them, then run make release-check again"

# cargo builds each crate from its package
cargo package --quiet --locked -p rotating-secret-document -p rotating-secret
ok "rotating-secret and rotating-secret-document build from their packages"

if tag=$(git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null); then
  make --no-print-directory .tools/semver/bin/cargo-semver-checks
  for package in rotating-secret-document rotating-secret; do
    PATH=$PWD/.tools/semver/bin:$PATH cargo semver-checks --quiet --package "$package" --baseline-rev "$tag" ||
      failed "$package: the version does not say what changed since $tag. Raise it in Cargo.toml"
    ok "$package: its version says what changed since $tag"
  done
else
  skipped "semver: there is no tag v*, so this is the first release, and there is nothing to compare it with"
fi

for arch in arm64 x86_64; do
  file=dist/rotatectl-$arch-linux
  if readelf --program-headers --wide "$file" | grep -q INTERP; then failed "$file is not static"; fi
  if run=$(runner "$arch"); then
    # shellcheck disable=SC2086 # a command and its options
    said=$($run "$file" --version)
    [ "$said" = "rotatectl $(cargo pkgid -p rotatectl | sed 's/.*[@#]//')" ] || failed "$file --version says: $said"
    ok "$file is static and runs: $said"
  else
    ok "$file is static"
    skipped "$file was not run: there is no qemu-user for its processor"
  fi
done

# each package rotates in its own local world, with the rotatectl of the same release
cargo build --quiet --bin local
case $(uname -m) in aarch64) rotatectl=dist/rotatectl-arm64-linux ;; *) rotatectl=dist/rotatectl-x86_64-linux ;; esac
for arch in arm64 x86_64; do
  package=dist/secret-rotation-$arch.zip
  if ! run=$(runner "$arch") || { [ -n "$run" ] && [ ! -d "${run##* }" ]; }; then
    skipped "$package did not rotate: it needs qemu-user and a C library for its processor (Debian: apt-get install qemu-user libc6-arm64-cross)"
    continue
  fi
  folder=$scratch/$arch
  mkdir "$folder"
  python3 -m zipfile -e "$package" "$folder"
  chmod +x "$folder/bootstrap" # Lambda reads the mode in the zip file, Python's extract does not
  printf '#!/bin/sh\nexec %s %s "$@"\n' "$run" "$folder/bootstrap" >"$folder/function"
  chmod +x "$folder/function"
  target/debug/local up --port 0 --function "$folder/function" >"$folder/ready" 2>"$folder/log" &
  world=$!
  until [ -s "$folder/ready" ]; do
    kill -0 "$world" 2>/dev/null || { cat "$folder/log" >&2; failed "the local world did not come up"; }
    sleep 0.1
  done
  for secret in demo/orders/single demo/stock/alternating demo/mail/api-key; do
    AWS_ENDPOINT_URL=$(sed -n 's|.*"endpoint":"\([^"]*\)".*|\1|p' "$folder/ready") AWS_REGION=us-east-1 \
    AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \
      "$rotatectl" rotate "$secret" --wait >"$folder/said" 2>&1 ||
      { cat "$folder/said" "$folder/log" >&2; failed "$package did not rotate $secret"; }
  done
  kill "$world"
  wait "$world" 2>/dev/null || true
  world=''
  ok "$package rotates: single user, alternating users, an API key"
done

# the same commit again, in another folder, from nothing
echo "release: building the commit again, from nothing, in another folder"
git clone --quiet --no-hardlinks . "$scratch/second"
TOOLS=$PWD/.tools "$scratch/second/local/scripts/release.sh" >"$scratch/second.log" 2>&1 ||
  { cat "$scratch/second.log" >&2; failed "the second build failed"; }
diff dist/SHA256SUMS "$scratch/second/dist/SHA256SUMS" || failed "two builds of one commit differ"
ok "two builds of $(git rev-parse --short HEAD) in two folders have the same bytes: $(wc -l <dist/SHA256SUMS) files"
