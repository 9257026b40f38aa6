#!/usr/bin/env bash
# Deploys the function to Cloud Run, or removes it; docs/deploy.md explains all of it.
#
# By `gcloud run deploy --function`, not `gcloud functions deploy`: only the first has a startup probe, service-wide
# minimum instances and the switch for the invoker check. Both build the same image with the same buildpack.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

usage() {
  cat <<'END'
Usage: deploy/gcp/deploy.sh --project ID --region NAME [options]

  --settings FILE      the function's settings, one NAME=value per line; see deploy/gcp/settings.example.env
  --service NAME       name of the service, and prefix of all other names (default: mitto-phone-hook)
  --secret NAME        one more secret setting, such as HOOK_SECRETS_AUTH0, REPORT_SECRETS, or STORE_URL with its password; may be repeated
  --static-egress      use one fixed egress IP address, for Mitto's allow-list
  --redis              make a Redis that several instances share
  --prices FILE        price of a segment by region, for BUDGET_PER_HOUR and BUDGET_PER_DAY; added to the bundle
  --templates FILE     your own texts (docs/texts.md); added to the bundle
  --max-instances N    maximum number of instances (default: 1, or 10 with a Redis)
  --dry-run            print the commands of a first deployment, run none
  --undo               delete everything that this script makes, except the secrets

If Secret Manager does not have a secret yet, the script reads it from the variable of the same name: MITTO_API_KEY, HOOK_SECRETS, ...
END
}

fail() {
  echo "deploy.sh: $*" >&2
  exit 2
}

project='' region='' settings='' prices='' templates='' service=mitto-phone-hook max_instances=''
static_egress=false redis=false redis_elsewhere=false okta=false dry_run=false undo=false
secrets=(MITTO_API_KEY HOOK_SECRETS) new_secrets=()
while [ $# -gt 0 ]; do
  case $1 in
    --project | --region | --settings | --prices | --templates | --service | --secret | --max-instances)
      [ $# -ge 2 ] || fail "$1 needs a value"
      ;;
  esac
  case $1 in
    --project) project=$2 && shift ;;
    --region) region=$2 && shift ;;
    --settings) settings=$2 && shift ;;
    --prices) prices=$2 && shift ;;
    --templates) templates=$2 && shift ;;
    --service) service=$2 && shift ;;
    --secret)
      if [[ " ${secrets[*]} " != *" $2 "* ]]; then secrets+=("$2"); fi
      shift
      ;;
    --max-instances)
      [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "--max-instances takes a whole number from 1 up"
      max_instances=$2 && shift
      ;;
    --static-egress) static_egress=true ;;
    --redis) redis=true ;;
    --dry-run) dry_run=true ;;
    --undo) undo=true ;;
    --help | -h) usage && exit ;;
    *) fail "unknown option $1; --help lists them" ;;
  esac
  shift
done
[ -n "$project" ] || fail "--project is missing; --help shows the usage"
[ -n "$region" ] || fail "--region is missing; --help shows the usage"
# The id of a service account, which the name begins, has 30 characters at most.
[[ $service =~ ^[a-z][a-z0-9-]{4,22}[a-z0-9]$ ]] || fail "--service takes 6 to 24 lower-case letters, digits and hyphens"
for name in "${secrets[@]}"; do
  [[ $name =~ ^(MITTO_API_KEY|STORE_URL|REPORT_SECRETS|TEST_NUMBERS|HOOK_SECRETS(_[A-Z0-9]+)?)$ ]] ||
    fail "--secret takes HOOK_SECRETS_ with the name of a platform, REPORT_SECRETS, TEST_NUMBERS, or STORE_URL"
  if [ "$name" = STORE_URL ]; then
    ! $redis || fail "--redis sets STORE_URL itself: leave one of the two out"
    redis_elsewhere=true
  fi
done
$dry_run || command -v gcloud >/dev/null || fail "gcloud is missing: install the Google Cloud CLI, then run gcloud auth login"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Read once, because a pipe can be read only once.
if [ -n "$settings" ]; then
  # Editors on Windows put a byte order mark at the start of a file.
  cat -- "$settings" 2>/dev/null | sed $'1s/^\xef\xbb\xbf//' >"$work/settings" || fail "--settings names a file that cannot be read"
  settings=$work/settings
fi
if [ -n "$prices" ]; then
  cat -- "$prices" >"$work/prices.csv" 2>/dev/null || fail "--prices names a file that cannot be read"
  prices=$work/prices.csv
fi
if [ -n "$templates" ]; then
  cat -- "$templates" >"$work/templates.toml" 2>/dev/null || fail "--templates names a file that cannot be read"
  templates=$work/templates.toml
fi

runtime_account=$service@$project.iam.gserviceaccount.com
build_account=$service-build@$project.iam.gserviceaccount.com

# Every command that changes something passes here: --dry-run shows all of them and runs none.
run() {
  if $dry_run; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}
cloud() { run gcloud "$@" "--project=$project" --quiet; }

check_login() {
  $dry_run || gcloud projects describe "$project" --quiet >/dev/null ||
    fail "gcloud cannot see the project $project: run gcloud auth login, check the id after --project, then run the same command again"
}

# How gcloud says that something does not exist, or that its service was never enabled. Any other error, such as an expired
# login, does not mean "does not exist": otherwise --undo would leave things that cost money, and report success.
readonly absent='NOT_FOUND|was not found|NAT .* not found|Cannot find service|Enable it by visiting'
is_there() {
  if $dry_run; then return 1; fi
  if gcloud "$@" "--project=$project" --quiet >/dev/null 2>"$work/error"; then return; fi
  if grep -Eq "$absent" "$work/error"; then return 1; fi
  cat "$work/error" >&2
  fail "gcloud cannot tell what exists already; fix the error above, then run the same command again"
}

# unless DESCRIBE... -- CREATE...   and   where DESCRIBE... -- DELETE...
unless() {
  local describe=()
  while [ "$1" != -- ]; do describe+=("$1") && shift; done
  is_there "${describe[@]}" || cloud "${@:2}"
}
where() {
  local describe=()
  while [ "$1" != -- ]; do describe+=("$1") && shift; done
  if $dry_run || is_there "${describe[@]}"; then cloud "${@:2}"; fi
}

# The project's own environment if it exists, else python3.
python=${PYTHON:-python3}
if [ -z "${PYTHON:-}" ] && [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; fi

check_python() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer is needed; install it, or say where it is: PYTHON=/path/to/python3 deploy/gcp/deploy.sh ..."
}

lower() { tr 'A-Z_' 'a-z-' <<<"$1"; }
secret_id() { echo "$service-$(lower "$1")"; }

readonly comment='^[[:space:]]*(#.*)?$' assignment='^([A-Z][A-Z0-9_]*)=(.*)$'

# Wrong input is reported before anything is made that costs money.
check_settings() {
  local line name value number=0 names=' '
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'} number=$((number + 1))
    if [[ $line =~ $comment ]]; then continue; fi
    [[ $line =~ $assignment ]] || fail "line $number of --settings is not NAME=value"
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    if [[ $name =~ ^(MITTO_API_KEY|REPORT_SECRETS|TEST_NUMBERS|HOOK_SECRETS(_[A-Z0-9]+)?)$ && $name != *_FILE ]]; then
      fail "$name is a secret: keep it out of --settings"
    fi
    [[ $value != [\"\']* ]] || fail "line $number of --settings: leave the quotation marks out"
    [[ $names != *" $name "* ]] || fail "line $number of --settings has $name a second time: keep one of the two"
    names+="$name "
    case $name in
      PRICES_FILE) fail "PRICES_FILE is set by --prices FILE: leave the line out" ;;
      TEMPLATES_FILE) fail "TEMPLATES_FILE is set by --templates FILE: leave the line out" ;;
      *_FILE) fail "$name names a file that the cloud does not have: leave the line out" ;;
      GOOGLE_CLOUD_PROJECT | XDG_RUNTIME_DIR) fail "$name is set by this script: leave the line out" ;;
      PORT | K_* | FUNCTION_*) fail "$name is set by Cloud Run: leave the line out" ;;
      DEADLINE_SECONDS)
        [[ -z $value || $value =~ ^0*[0-9](\.[0-9]*)?$ ]] ||
          fail "DEADLINE_SECONDS must be a number below 10: Google kills an instance 10 s after the signal to stop"
        ;;
    esac
    if [ "$name" = OKTA_ISSUER ]; then okta=true; fi
    if [ "$name" = STORE_URL ]; then
      ! $redis || fail "--redis sets STORE_URL itself: leave one of the two out"
      [[ $value != *@* ]] || fail "STORE_URL holds a password: keep it out of --settings, and use --secret STORE_URL"
      if [[ $value == redis* ]]; then redis_elsewhere=true; fi
    fi
  done <"$settings"
}

check_secrets() {
  local name value
  for name in "${secrets[@]}"; do
    if is_there secrets describe "$(secret_id "$name")"; then
      [ -z "${!name:-}" ] || echo "Not changed: $(secret_id "$name"). To change it: docs/deploy.md, Rotate a secret." >&2
    elif ! $dry_run; then
      [ -n "${!name:-}" ] || fail "Secret Manager has no $(secret_id "$name"); export $name for this run"
      value=${!name}
      [[ $name != HOOK_* || ${#value} -ge 24 ]] || fail "$name is shorter than 24 characters; mitto-phone-hook secret makes a good one"
      new_secrets+=("$name")
    fi
  done
}

# The function itself checks the values, if this Python has the packages that it needs.
read_settings() {
  local problems status=0 instances=$max_instances
  # STORE_URL is not set yet, because the Redis is made later.
  if $redis; then instances=1; fi
  problems=$("$python" -B "$root/deploy/gcp/check_settings.py" "$work/environment.yaml" "$prices" "$templates" "$instances" \
    ${new_secrets[@]+"${new_secrets[@]}"}) || status=$?
  case $status in
    0) ;;
    3) echo "Values of settings are not checked: this Python lacks the function's packages. make ready makes a .venv with them." >&2 ;;
    *) fail "the function does not start with these settings; docs/configuration.md explains each of them:"$'\n'"$problems" ;;
  esac
}

stage_bundle() {
  local bundle=(--out "$work/bundle")
  if $redis || $redis_elsewhere; then bundle+=(--redis); fi
  if $okta; then bundle+=(--okta); fi
  if [ -n "$prices" ]; then bundle+=(--prices "$prices"); fi
  if [ -n "$templates" ]; then bundle+=(--templates "$templates"); fi
  run "$python" "$root/deploy/bundle.py" "${bundle[@]}"
}

make_accounts() {
  unless iam service-accounts describe "$runtime_account" -- \
    iam service-accounts create "$service" "--display-name=Runs $service"
  # New projects give the default build account no rights, old ones give it far too many.
  unless iam service-accounts describe "$build_account" -- \
    iam service-accounts create "$service-build" "--display-name=Builds $service"
  cloud projects add-iam-policy-binding "$project" "--member=serviceAccount:$build_account" --role=roles/run.builder --condition=None
}

make_secrets() {
  local name
  for name in "${secrets[@]}"; do
    if $dry_run; then
      echo "printf %s \"\$$name\" | gcloud secrets create $(secret_id "$name") --replication-policy=automatic --data-file=- --project=$project --quiet"
    elif ! is_there secrets describe "$(secret_id "$name")"; then
      # By standard input: everybody on this machine can see arguments.
      printf %s "${!name}" | cloud secrets create "$(secret_id "$name")" --replication-policy=automatic --data-file=-
    fi
    cloud secrets add-iam-policy-binding "$(secret_id "$name")" \
      "--member=serviceAccount:$runtime_account" --role=roles/secretmanager.secretAccessor
  done
}

make_network() {
  unless compute networks describe "$service" -- compute networks create "$service" --subnet-mode=custom
  unless compute networks subnets describe "$service" "--region=$region" -- \
    compute networks subnets create "$service" "--region=$region" "--network=$service" --range=10.8.0.0/26 --enable-private-ip-google-access
}

make_static_egress() {
  unless compute addresses describe "$service" "--region=$region" -- compute addresses create "$service" "--region=$region"
  unless compute routers describe "$service" "--region=$region" -- compute routers create "$service" "--region=$region" "--network=$service"
  # All connections go to one host and port, so each needs a port of its own: the default of 64 is less than one instance's concurrency.
  unless compute routers nats describe "$service" "--router=$service" "--region=$region" -- \
    compute routers nats create "$service" "--router=$service" "--region=$region" "--nat-external-ip-pool=$service" \
    "--nat-custom-subnet-ip-ranges=$service" --min-ports-per-vm=1024
}

make_redis() {
  # Nothing else is in this network, so Redis needs no password.
  unless redis instances describe "$service" "--region=$region" -- \
    redis instances create "$service" "--region=$region" "--network=$service" --tier=basic --size=1 --redis-version=redis_7_2
}

redis_host() {
  if $dry_run; then
    echo REDIS_HOST
  else
    gcloud redis instances describe "$service" "--region=$region" "--format=value(host)" "--project=$project" --quiet
  fi
}

# --set-env-vars cannot hold commas in values; a YAML file can. The address of a new Redis is added later.
write_environment() {
  local line name value
  {
    # Connects the function's log lines with those of Cloud Run.
    echo "GOOGLE_CLOUD_PROJECT=$project"
    # Where the server puts its control socket; without a writable folder it logs a warning at every start.
    echo "XDG_RUNTIME_DIR=/tmp"
    for name in "${secrets[@]}"; do echo "${name}_FILE=/secrets/$(lower "$name")/value"; done
    if [ -n "$prices" ]; then echo "PRICES_FILE=/workspace/prices.csv"; fi
    if [ -n "$templates" ]; then echo "TEMPLATES_FILE=/workspace/templates.toml"; fi
    if [ -n "$settings" ]; then cat "$settings"; fi
  } | while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    if [[ $line =~ $comment || ! $line =~ $assignment ]]; then continue; fi
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]//\\/\\\\}
    printf '%s: "%s"\n' "$name" "${value//\"/\\\"}"
  done >"$work/environment.yaml"
}

deploy() {
  local mounts='' name host options=()
  for name in "${secrets[@]}"; do mounts+=",/secrets/$(lower "$name")/value=$(secret_id "$name"):latest"; done
  if $redis || $static_egress; then options+=("--network=$service" "--subnet=$service"); fi
  if $static_egress; then options+=(--vpc-egress=all-traffic); elif $redis; then options+=(--vpc-egress=private-ranges-only); fi
  if $redis; then
    host=$(redis_host)
    echo "STORE_URL: \"redis://$host:6379\"" >>"$work/environment.yaml"
  fi
  if $dry_run; then sed 's/^/# environment.yaml: /' "$work/environment.yaml"; fi
  # SOURCE_DATE_EPOCH: the buildpack compiles our own files by time stamp, and its export changes every time stamp.
  # With this variable Python compiles by content, and the bytecode stays valid.
  cloud run deploy "$service" "--region=$region" "--source=$work/bundle" --function=send_phone_message --base-image=python313 \
    --set-build-env-vars=SOURCE_DATE_EPOCH=315532801 \
    "--build-service-account=projects/$project/serviceAccounts/$build_account" "--service-account=$runtime_account" \
    "--env-vars-file=$work/environment.yaml" "--set-secrets=${mounts#,}" \
    --cpu=1 --memory=512Mi --cpu-boost --concurrency=80 --min=1 "--max-instances=$max_instances" --timeout=30 \
    --startup-probe=httpGet.path=/health,periodSeconds=1,timeoutSeconds=1,failureThreshold=30 \
    --ingress=all --no-invoker-iam-check ${options[@]+"${options[@]}"}
}

report() {
  if $static_egress; then
    $dry_run || printf "Address for Mitto's allow-list: "
    cloud compute addresses describe "$service" "--region=$region" "--format=value(address)"
  fi
  $dry_run || printf 'URL: '
  cloud run services describe "$service" "--region=$region" "--format=value(status.url)"
}

undo_all() {
  where run services describe "$service" "--region=$region" -- run services delete "$service" "--region=$region"
  where redis instances describe "$service" "--region=$region" -- redis instances delete "$service" "--region=$region"
  where compute routers describe "$service" "--region=$region" -- compute routers delete "$service" "--region=$region"
  where compute addresses describe "$service" "--region=$region" -- compute addresses delete "$service" "--region=$region"
  where compute networks subnets describe "$service" "--region=$region" -- compute networks subnets delete "$service" "--region=$region"
  where compute networks describe "$service" -- compute networks delete "$service"
  where iam service-accounts describe "$build_account" -- \
    projects remove-iam-policy-binding "$project" "--member=serviceAccount:$build_account" --role=roles/run.builder --condition=None
  where iam service-accounts describe "$build_account" -- iam service-accounts delete "$build_account"
  where iam service-accounts describe "$runtime_account" -- iam service-accounts delete "$runtime_account"
  echo "The secrets are kept. To delete them, and those of --secret:" >&2
  for name in "${secrets[@]}"; do echo "  gcloud secrets delete $(secret_id "$name") --project=$project" >&2; done
}

if $undo; then
  check_login
  undo_all
  exit
fi
if [ -n "$settings" ]; then check_settings; fi
if $redis || $redis_elsewhere; then max_instances=${max_instances:-10}; else max_instances=${max_instances:-1}; fi
check_python
check_login
check_secrets
write_environment
read_settings
stage_bundle
services=(run cloudbuild artifactregistry secretmanager)
if $redis || $static_egress; then services+=(compute); fi
if $redis; then services+=(redis); fi
cloud services enable "${services[@]/%/.googleapis.com}"
make_accounts
make_secrets
if $redis || $static_egress; then make_network; fi
if $static_egress; then make_static_egress; fi
if $redis; then make_redis; fi
deploy
report
