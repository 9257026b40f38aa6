// cli/setup.sh against a fake Auth0 CLI that writes down its arguments and its standard input. Needs jq on the PATH.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { readText, SIGNING_SECRET } from "./support.mjs";

const SCRIPT = fileURLToPath(new URL("../cli/setup.sh", import.meta.url));
const HOOK_URL = "https://hook.example.com/";

// In bash, because a suite of forty Node starts is a slow one. One file per answer, named like the command.
const FAKE = `#!/usr/bin/env bash
folder=\${0%/*}
stdin=
[[ $1 == api ]] && stdin=$(cat)
printf '%s\\0' "$stdin" "$@" $'\\n' >>"$folder/log"
command="$1 $2 \${3%%\\?*}"
exec cat "$folder/\${command//\\//_}"
`;

const TRIGGERS = { triggers: [
  { id: "send-phone-message", version: "v1", status: "DEPRECATED" },
  { id: "send-phone-message", version: "v2", status: "CURRENT" },
  { id: "custom-phone-provider", version: "v1", status: "CURRENT" },
] };
const EMPTY_TENANT = {
  "api get actions/triggers": TRIGGERS,
  "api get actions/actions": { actions: [] },
  "api get branding/phone/providers": { providers: [] },
  "api get actions/triggers/send-phone-message/bindings": { bindings: [] },
  "api post actions/actions": { id: "act_1" },
  "api patch actions/actions/act_1": { id: "act_1" },
  "api get actions/actions/act_1": { id: "act_1", status: "built" },
  "actions deploy act_1": {},
  "api post branding/phone/providers": { id: "pro_1" },
  "api patch branding/phone/providers/pro_1": { id: "pro_1" },
  "api patch actions/triggers/send-phone-message/bindings": { bindings: [{}] },
};
const ours = (trigger) => ({ actions: [{ id: "act_1", name: `Mitto ${trigger}` }] });

const setup = (t, args, { answers = {}, env = {} } = {}) => {
  const folder = mkdtempSync(path.join(tmpdir(), "setup-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, "log"), "");
  writeFileSync(path.join(folder, "auth0"), FAKE);
  chmodSync(path.join(folder, "auth0"), 0o755);
  for (const [command, answer] of Object.entries({ ...EMPTY_TENANT, ...answers })) {
    if (answer) writeFileSync(path.join(folder, command.replaceAll("/", "_")), JSON.stringify(answer));
  }
  const { status, stdout, stderr } = spawnSync("bash", [SCRIPT, ...args], {
    encoding: "utf8",
    env: { PATH: `${folder}:${process.env.PATH}`, HOOK_URL, HOOK_SECRET: SIGNING_SECRET, ...env },
  });
  const calls = readFileSync(path.join(folder, "log"), "utf8").split("\0\n\0").slice(0, -1)
    .map((call) => call.split("\0")).map(([stdin, ...args]) => ({ stdin, args }));
  const secret = SIGNING_SECRET.slice("whsec_".length);
  assert.ok(!`${stdout}${stderr}`.includes(secret), "the secret is not printed");
  assert.ok(!JSON.stringify(calls.map((call) => call.args)).includes(secret), "the secret is no argument: the process list shows those");
  const commands = calls.map((call) => call.args.filter((arg) => !arg.startsWith("--")).join(" ").split("?")[0]);
  const sent = (command) => JSON.parse(calls[commands.indexOf(command)].stdin);
  return { status, stdout, stderr, commands, sent, changes: commands.filter((command) => !command.startsWith("api get")) };
};

test("setup.sh makes Action, deployment and phone provider, in this order", (t) => {
  const { status, commands, sent, stderr } = setup(t, []);
  assert.equal(status, 0, stderr);
  assert.deepEqual(commands, [
    "api get actions/triggers",
    "api get actions/actions",
    "api get branding/phone/providers",
    "api post actions/actions",
    "api get actions/actions/act_1",
    "actions deploy act_1",
    "api post branding/phone/providers",
  ]);
  assert.deepEqual(sent("api post actions/actions"), {
    name: "Mitto custom-phone-provider",
    supported_triggers: [{ id: "custom-phone-provider", version: "v1" }],
    runtime: "node22",
    code: readText("../custom-phone-provider.js"),
    dependencies: [],
    secrets: [{ name: "HOOK_URL", value: HOOK_URL }, { name: "HOOK_SECRET", value: SIGNING_SECRET }],
  });
  assert.deepEqual(sent("api post branding/phone/providers"), { name: "custom", disabled: false, configuration: { delivery_methods: ["text"] }, credentials: {} });
});

test("setup.sh binds send-phone-message after deploying it, and makes no phone provider", (t) => {
  const { status, changes, sent } = setup(t, ["send-phone-message"]);
  assert.equal(status, 0);
  assert.deepEqual(changes, ["api post actions/actions", "actions deploy act_1", "api patch actions/triggers/send-phone-message/bindings"]);
  assert.deepEqual(sent("api post actions/actions").supported_triggers, [{ id: "send-phone-message", version: "v2" }]);
  assert.equal(sent("api post actions/actions").code, readText("../send-phone-message.js"));
  assert.deepEqual(sent("api patch actions/triggers/send-phone-message/bindings"), {
    bindings: [{ ref: { type: "action_name", value: "Mitto send-phone-message" }, display_name: "Mitto send-phone-message" }],
  });
});

test("setup.sh, run again, updates what it made", (t) => {
  const answers = { "api get actions/actions": ours("custom-phone-provider"), "api get branding/phone/providers": { providers: [{ id: "pro_1", name: "custom" }] } };
  const { status, changes } = setup(t, [], { answers });
  assert.equal(status, 0);
  assert.deepEqual(changes, ["api patch actions/actions/act_1", "actions deploy act_1", "api patch branding/phone/providers/pro_1"]);
});

test("setup.sh, run again, leaves the binding alone", (t) => {
  const answers = { "api get actions/actions": ours("send-phone-message"), "api get actions/triggers/send-phone-message/bindings": { bindings: [{ action: { name: "Mitto send-phone-message" } }] } };
  const { status, changes } = setup(t, ["send-phone-message"], { answers });
  assert.equal(status, 0);
  assert.deepEqual(changes, ["api patch actions/actions/act_1", "actions deploy act_1"]);
});

test("setup.sh takes another name for the Action", (t) => {
  const { status, sent } = setup(t, [], { env: { ACTION_NAME: "It's \"ours\"" } });
  assert.equal(status, 0);
  assert.equal(sent("api post actions/actions").name, "It's \"ours\"");
});

test("setup.sh waits until the Action is built", (t) => {
  const { status, stderr, changes } = setup(t, [], { answers: { "api get actions/actions/act_1": { status: "building" } }, env: { BUILD_WAIT_SECONDS: "0" } });
  assert.equal(status, 1);
  assert.match(stderr, /still 'building' after 0 s/);
  assert.deepEqual(changes, ["api post actions/actions"]);
});

const REFUSALS = {
  "another Action on the trigger": { args: [], answers: { "api get actions/actions": { actions: [{ id: "x", name: "Theirs" }] } }, says: /ACTION_NAME='Theirs'/ },
  "another phone provider": { args: [], answers: { "api get branding/phone/providers": { providers: [{ id: "x", name: "twilio" }] } }, says: /sends through 'twilio'/ },
  "another Action bound to send-phone-message": { args: ["send-phone-message"], answers: { "api get actions/triggers/send-phone-message/bindings": { bindings: [{ action: { name: "Theirs" } }] } }, says: /'Theirs' is bound/ },
  "a tenant without the trigger": { args: [], answers: { "api get actions/triggers": { triggers: [] } }, says: /no trigger custom-phone-provider/ },
  "a login without the rights": { args: [], answers: { "api get branding/phone/providers": { statusCode: 403, error: "Forbidden", message: "Insufficient scope", errorCode: "insufficient_scope" } }, says: /403 insufficient_scope/ },
  "an Auth0 CLI that fails": { args: [], answers: { "api get actions/triggers": undefined }, says: /auth0 api get actions\/triggers failed/ },
  "an unknown argument": { args: ["--now"], says: /unknown argument: --now/ },
  "no HOOK_URL": { args: [], env: { HOOK_URL: "" }, says: /HOOK_URL is missing/ },
  "a HOOK_URL without https": { args: [], env: { HOOK_URL: "http://hook.example.com/" }, says: /HOOK_URL must begin with https/ },
  "no HOOK_SECRET": { args: [], env: { HOOK_SECRET: "" }, says: /HOOK_SECRET is missing/ },
  "a HOOK_SECRET that is short": { args: [], env: { HOOK_SECRET: "abc" }, says: /HOOK_SECRET must be one secret/ },
  "both forms in HOOK_SECRET": { args: [], env: { HOOK_SECRET: `${SIGNING_SECRET}\nbearer-secret-of-the-tests-01` }, says: /HOOK_SECRET must be one secret/ },
  "a HOOK_SECRET that is cut": { args: [], env: { HOOK_SECRET: "whsec_abc" }, says: /HOOK_SECRET must be one secret/ },
};
for (const [title, { args, answers, env, says }] of Object.entries(REFUSALS)) {
  test(`setup.sh changes nothing with ${title}`, (t) => {
    const outcome = setup(t, args, { answers, env });
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, says);
    assert.deepEqual(outcome.changes, []);
  });
}

test("setup.sh hides the secret in an error of Auth0 that quotes it", (t) => {
  const answers = { "api post actions/actions": { statusCode: 400, error: "Bad Request", errorCode: "invalid_body", message: `no good: ${SIGNING_SECRET}` } };
  const { status, stderr, changes } = setup(t, [], { answers });
  assert.equal(status, 1);
  assert.match(stderr, /400 invalid_body: no good: \*\*\*/);
  assert.deepEqual(changes, ["api post actions/actions"]);
});

for (const trigger of ["custom-phone-provider", "send-phone-message"]) {
  test(`setup.sh --dry-run ${trigger} prints the commands in their order and calls nobody`, (t) => {
    const { status, stdout, commands } = setup(t, ["--dry-run", trigger]);
    assert.equal(status, 0);
    assert.deepEqual(commands, []);
    const last = trigger === "custom-phone-provider" ? "post branding/phone/providers" : "patch actions/triggers/send-phone-message/bindings";
    assert.match(stdout, new RegExp(`^auth0 api post actions/actions <<< .*"HOOK_SECRET","value":"\\*\\*\\*".*\\nauth0 actions deploy .*\\nauth0 api ${last} <<< .*\\n$`));
  });
}
