#!/usr/bin/env bash
# invoke.sh STEP: runs the steps of one rotation up to STEP, each through `cargo lambda invoke` with its events/*.json.
#
# A step needs the steps before it, so each run starts its own local world, in which the events' token is staged, and stops it at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."

last=$1
steps=(createSecret setSecret testSecret finishSecret)
if [[ " ${steps[*]} " != *" $last "* ]]; then
  echo "STEP is $last: choose one of ${steps[*]}" >&2
  exit 1
fi
token=$(sed -n 's/.*"ClientRequestToken": "\(.*\)".*/\1/p' events/createSecret.json)
folder=$(mktemp -d)
world='' watch=''
finish() {
  [ -z "$watch" ] || kill -- "-$watch" 2>/dev/null || true
  [ -z "$world" ] || kill "$world" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

# wait_for SECONDS MESSAGE COMMAND...: waits until the command succeeds
wait_for() {
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || { echo "$what. Its log:" >&2; cat "$folder"/*.log >&2; exit 1; }
    sleep 0.1
  done
}

cargo build --quiet --bins
cargo run --quiet --bin local -- up --port 0 --stage "$token" >"$folder/ready" 2>"$folder/world.log" &
world=$!
wait_for 60 "the local world did not come up" test -s "$folder/ready"
field() { sed -n "s|.*\"$1\":\"\([^\"]*\)\".*|\1|p" "$folder/ready"; }

set -m # its own process group, because cargo lambda starts other processes
AWS_ENDPOINT_URL=$(field endpoint) AWS_REGION=$(field region) TLS_CA_FILE=$(field ca_file) \
AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_CA_BUNDLE='' \
  cargo lambda watch --ignore-changes --invoke-address 127.0.0.1 --invoke-port 9000 >"$folder/watch.log" 2>&1 &
watch=$!
set +m
wait_for 60 "cargo lambda watch did not come up" bash -c 'exec 3<>/dev/tcp/127.0.0.1/9000'

# if the function dies, the call hangs
limit=()
if command -v timeout >/dev/null; then limit=(timeout 300); fi
for step in "${steps[@]}"; do
  printf '%-13s ' "$step"
  "${limit[@]}" cargo lambda invoke secret-rotation --data-file "events/$step.json" --invoke-address 127.0.0.1 --invoke-port 9000
  [ "$step" != "$last" ] || break
done
