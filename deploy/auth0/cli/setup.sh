#!/usr/bin/env bash
# Sets up one of the two Actions with the Auth0 CLI. See ../README.md.
#
#   HOOK_URL=https://… HOOK_SECRET=whsec_… [ACTION_NAME=…] ./setup.sh [--dry-run] [custom-phone-provider|send-phone-message]
#
# It reads everything before the first change. It passes JSON to `auth0 api` on standard input: a secret
# in an argument would show in the process list.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
readonly BUILD_WAIT_SECONDS=${BUILD_WAIT_SECONDS:-60}
dry_run=no
trigger=custom-phone-provider
trigger_version=CURRENT
action_id=
provider_id=
is_bound=
response=

fail() {
  printf 'setup.sh: %s\n' "$1" >&2
  exit 1
}

step() { printf '%s\n' "$1" >&2; }

read_arguments() {
  while (($#)); do
    case $1 in
      --dry-run) dry_run=yes ;;
      custom-phone-provider | send-phone-message) trigger=$1 ;;
      -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) fail "unknown argument: $1 (--dry-run, custom-phone-provider, send-phone-message)" ;;
    esac
    shift
  done
}

check_environment() {
  [[ -n ${HOOK_URL:-} ]] || fail 'HOOK_URL is missing: the https address of the function.'
  [[ $HOOK_URL == https://* ]] || fail 'HOOK_URL must begin with https://.'
  [[ -n ${HOOK_SECRET:-} ]] || fail "HOOK_SECRET is missing: one of the function's HOOK_SECRETS."
  # Otherwise every login would fail with hook_misconfigured.
  [[ $HOOK_SECRET =~ ^(v1,)?whsec_[A-Za-z0-9+/]{32,}={0,2}$ || ( $HOOK_SECRET != *whsec_* && $HOOK_SECRET =~ ^[!-~]{24,}$ && $HOOK_SECRET != *\|* ) ]] ||
    fail 'HOOK_SECRET must be one secret: whsec_ and base64, or 24 and more visible ASCII characters without |.'
  command -v jq >/dev/null || fail 'jq is missing: https://jqlang.org/download/'
  [[ $dry_run == yes ]] || command -v auth0 >/dev/null || fail 'the Auth0 CLI is missing: https://github.com/auth0/auth0-cli'
  ACTION_NAME=${ACTION_NAME:-Mitto $trigger} # names are unique in a tenant, so each trigger needs its own
  export HOOK_URL HOOK_SECRET ACTION_NAME trigger trigger_version # jq reads them from its environment, not from its arguments
}

# call METHOD PATH [JSON]: prints the response. `auth0 api` exits with 0 on most HTTP errors, so the response itself is checked.
call() {
  local response
  response=$(printf '%s' "${3:-}" | auth0 api "$1" "$2" --no-input --no-color) || fail "auth0 api $1 $2 failed."
  if [[ $response == *'"statusCode"'* ]] && jq -e 'has("statusCode")' <<<"$response" >/dev/null; then
    # If the API quotes the request, the secret must not appear in the terminal.
    response=$(jq -r '"\(.statusCode) \(.errorCode // .error): \(.message)"' <<<"$response")
    fail "auth0 api $1 $2: ${response//"$HOOK_SECRET"/***}"
  fi
  printf '%s' "$response"
}

# change METHOD PATH JSON: like call, with the result in $response. A dry run only prints it, without secret and code.
change() {
  if [[ $dry_run == no ]]; then
    response=$(call "$@")
    return
  fi
  local shown
  shown=$(jq -c '(.secrets[]? | select(.name == "HOOK_SECRET") | .value) = "***" | if .code then .code = "…" else . end' <<<"$3")
  printf "auth0 api %s %s <<< '%s'\n" "$1" "$2" "$shown"
}

action_json() {
  jq -n --rawfile code "$HERE/../$trigger.js" '{
    name: env.ACTION_NAME,
    supported_triggers: [{id: env.trigger, version: env.trigger_version}],
    runtime: "node22", code: $code, dependencies: [],
    secrets: [{name: "HOOK_URL", value: env.HOOK_URL}, {name: "HOOK_SECRET", value: env.HOOK_SECRET}]
  }'
}

# The version of the trigger that the tenant uses now.
find_version() {
  local triggers version
  triggers=$(call get actions/triggers) || exit 1 # bash switches `set -e` off within $( )
  version=$(jq -r '[.triggers[]? | select(.id == env.trigger and .status == "CURRENT") | .version][0] // empty' <<<"$triggers")
  [[ -n $version ]] || fail "this tenant has no trigger $trigger."
  printf '%s' "$version"
}

# The id of our Action, empty if there is none yet.
find_action() {
  local actions
  actions=$(call get "actions/actions?triggerId=$trigger&per_page=100") || exit 1
  if [[ $trigger == custom-phone-provider ]]; then
    local other
    other=$(jq -r '[.actions[]? | select(.name != env.ACTION_NAME) | .name][0] // empty' <<<"$actions")
    [[ -z $other ]] || fail "the trigger already has the Action '$other', and Auth0 allows only one. Run again with ACTION_NAME='$other' to replace its code and secrets, or delete it."
  fi
  jq -r '[.actions[]? | select(.name == env.ACTION_NAME) | .id][0] // empty' <<<"$actions"
}

# The id of the tenant's custom phone provider, empty if there is none yet.
find_provider() {
  local providers other
  providers=$(call get branding/phone/providers) || exit 1
  other=$(jq -r '[.providers[]? | select(.name != "custom") | .name][0] // empty' <<<"$providers")
  [[ -z $other ]] || fail "the tenant sends through '$other', and Auth0 allows only one phone provider. Remove it first: auth0 phone provider delete."
  jq -r '.providers[0]?.id // empty' <<<"$providers"
}

# "yes" if our Action is bound already. A second Action on this trigger would send a second SMS.
find_binding() {
  local bindings other
  bindings=$(call get actions/triggers/send-phone-message/bindings) || exit 1
  other=$(jq -r '[.bindings[]? | select(.action.name != env.ACTION_NAME) | .action.name][0] // empty' <<<"$bindings")
  [[ -z $other ]] || fail "the Action '$other' is bound to send-phone-message: both would send. Unbind it first: Actions > Triggers > send-phone-message."
  jq -r 'if (.bindings // []) | length > 0 then "yes" else "" end' <<<"$bindings"
}

save_action() {
  local json
  json=$(action_json)
  if [[ -n $action_id ]]; then
    step "Updating the Action '$ACTION_NAME' …"
    change patch "actions/actions/$action_id" "$json"
    return
  fi
  step "Creating the Action '$ACTION_NAME' …"
  change post actions/actions "$json"
  if [[ $dry_run == yes ]]; then action_id=ACTION_ID; else action_id=$(jq -re .id <<<"$response"); fi
}

# Auth0 refuses to deploy an Action that it is still building.
wait_until_built() {
  local status waited=0
  while :; do
    status=$(call get "actions/actions/$action_id" | jq -r .status)
    case $status in
      built) return ;;
      failed) fail 'Auth0 could not build the Action.' ;;
      *) ;; # pending, building
    esac
    ((waited < BUILD_WAIT_SECONDS)) || fail "the Action is still '$status' after $BUILD_WAIT_SECONDS s. Run again in a minute."
    sleep 1
    waited=$((waited + 1))
  done
}

deploy_action() {
  step 'Deploying it …'
  if [[ $dry_run == yes ]]; then
    printf 'auth0 actions deploy %s   # as soon as its status is "built"\n' "$action_id"
    return
  fi
  wait_until_built
  auth0 actions deploy "$action_id" --no-input >/dev/null </dev/null || fail 'auth0 actions deploy failed.'
}

save_provider() {
  local json='{"name":"custom","disabled":false,"configuration":{"delivery_methods":["text"]},"credentials":{}}'
  step 'Making it the phone provider of the tenant, text only …'
  if [[ -n $provider_id ]]; then
    change patch "branding/phone/providers/$provider_id" "$json"
  else
    change post branding/phone/providers "$json"
  fi
}

bind_action() {
  if [[ -n $is_bound ]]; then
    step 'It is already bound to send-phone-message.'
    return
  fi
  step 'Binding it to send-phone-message …'
  local json
  json=$(jq -nc '{bindings: [{ref: {type: "action_name", value: env.ACTION_NAME}, display_name: env.ACTION_NAME}]}')
  change patch actions/triggers/send-phone-message/bindings "$json"
}

read_tenant() {
  trigger_version=$(find_version)
  action_id=$(find_action)
  if [[ $trigger == custom-phone-provider ]]; then provider_id=$(find_provider); else is_bound=$(find_binding); fi
}

# next_step WHERE: prints the step that only the dashboard can do.
next_step() {
  if [[ $dry_run == yes ]]; then step 'Nothing was done. Without --dry-run, next:' "$1"; else step 'Done. Next:' "$1"; fi
}

main() {
  read_arguments "$@"
  check_environment
  [[ $dry_run == yes ]] || read_tenant
  save_action
  deploy_action
  if [[ $trigger == custom-phone-provider ]]; then
    save_provider
    next_step 'Branding > Phone Provider > Send Test Message, then switch MFA or Passwordless to the tenant-level provider.'
  else
    bind_action
    next_step 'Security > Multi-factor Auth > Phone Message: provider Custom, message type SMS only.'
  fi
}

main "$@"
