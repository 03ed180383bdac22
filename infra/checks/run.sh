#!/usr/bin/env bash
# run.sh TOOLS: the checks of infra/ and of the workflows that need no AWS, one line a check. TOOLS has the folders actionlint, checkov
# and infra. The construct of the CDK needs infra/cdk/node_modules.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$1
export AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1 CHECKPOINT_DISABLE=1
unset AWS_CA_BUNDLE # the machine's own setting

logs=$(mktemp --directory)
trap 'rm -rf "$logs"' EXIT

check() { # NAME COMMAND…: prints ok, skipped, or the output
  local what=$1 log=$logs/$BASHPID
  shift
  if "$@" >"$log" 2>&1; then
    if grep -q "skipped=" "$log"; then
      echo "infra: skipped  $what: there is no AWS provider for Terraform, and none could be downloaded"
    else
      echo "infra: ok       $what"
    fi
  else
    echo "infra: FAILED   $what"
    cat "$log"
    exit 1
  fi
}

tests() { (cd infra/checks && "$OLDPWD/$tools/infra/bin/python" -W ignore -m unittest --failfast "$@"); }

validate() { (cd infra/sam && "$OLDPWD/$tools/infra/bin/sam" validate --template "$1"); } # as samconfig.toml says, with --lint

# The construct of the CDK: compiles it, and synthesizes the example and what its tests compare, into a folder.
synthesize() { # FOLDER
  (cd infra/cdk && npm run --silent build) || return
  node infra/cdk/build/test/everything.js "$1" && node infra/cdk/build/test/example.js "$1/example"
}

cdk() { # FOLDER
  check "the construct builds and synthesizes" synthesize "$1"
  check "the construct" node --test infra/cdk/build/test/*.test.js
  CDK_TEMPLATES=$1 check "the construct beside the template" tests test_cdk
  # W3005: the CDK writes DependsOn also where a reference does the same
  check "cfn-lint of the construct" "$tools/infra/bin/cfn-lint" --ignore-checks W3005 -- "$1"/*.template.json "$1"/example/*.template.json
  check "checkov of the construct" "$tools/checkov/bin/checkov" --config-file infra/checks/checkov.yaml --directory "$1"
}

template() {
  if [ -x "$tools/actionlint/bin/actionlint" ]; then
    check "actionlint" "$tools/actionlint/bin/actionlint"
  else
    echo "infra: skipped  actionlint: there is none for this system"
  fi
  check "cfn-lint" "$tools/infra/bin/cfn-lint" infra/sam/*.yaml
  for template in template.yaml secret.yaml; do
    check "sam validate $template" validate "$template"
  done
  check "checkov" "$tools/checkov/bin/checkov" --config-file infra/checks/checkov.yaml
  check "the template as CloudFormation sees it" tests test_rights test_network test_watch test_parameters
  check "the pages of infra/" tests test_pages
  check "the restart of services on moto" tests test_restart
}

# Terraform starts its provider for each command, which takes seconds: so three at once
template &
running=($!)
if command -v node >/dev/null && [ -d infra/cdk/node_modules ]; then
  cdk "$logs/cdk" &
  running+=($!)
else
  echo "infra: skipped  the construct of the CDK: node and npm are not on the PATH"
fi
if command -v terraform >/dev/null; then
  check "terraform fmt" terraform fmt -check -recursive infra/terraform
  check "Terraform on moto, beside the template" tests test_terraform &
  running+=($!)
  check "a new secret of Terraform on moto" tests test_secret &
  running+=($!)
else
  echo "infra: skipped  terraform is not on the PATH; the template was checked, the module was not"
fi
failed=0
for one in "${running[@]}"; do wait "$one" || failed=1; done
exit "$failed"
