// The three ways of setting up as code, and the README, agree with each other and with the files that they upload.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test from "node:test";
import { OWN_CODES, readText, REPLIES } from "./support.mjs";

const TENANTS = { "custom-phone-provider": "deploy-cli/tenant.yaml", "send-phone-message": "deploy-cli/tenant-send-phone-message.yaml" };
const VERSIONS = { "custom-phone-provider": "v1", "send-phone-message": "v2" };
const value = (text, key) => new RegExp(`^ *-? *${key}: "?([^"\\n#]*?)"?(?: *#.*)?$`, "m").exec(text)?.[1];

for (const [trigger, file] of Object.entries(TENANTS)) {
  const yaml = readText(`../${file}`);

  test(`${file} uploads the Action of its trigger`, () => {
    // The Deploy CLI reads paths from AUTH0_BASE_PATH, which the README sets to deploy/auth0.
    assert.equal(value(yaml, "code"), `./${trigger}.js`);
    assert.ok(existsSync(new URL(`../${trigger}.js`, import.meta.url)));
    assert.equal(value(yaml, "id"), trigger);
    assert.equal(value(yaml, "version"), VERSIONS[trigger]);
    assert.deepEqual([value(yaml, "runtime"), value(yaml, "deployed")], ["node22", "true"]);
  });

  test(`${file} takes both secrets from the environment`, () => {
    assert.match(yaml, /name: HOOK_URL\n +value: "@@HOOK_URL@@"\n/);
    assert.match(yaml, /name: HOOK_SECRET\n +value: "@@HOOK_SECRET@@"\n/);
  });
}

test("the Deploy CLI may neither delete anything nor touch anything else", () => {
  const config = JSON.parse(readText("../deploy-cli/config.json"));
  assert.deepEqual(config, { AUTH0_ALLOW_DELETE: false, AUTH0_INCLUDED_ONLY: ["actions", "phoneProviders", "triggers"] });
});

test("every way offers text and no voice", () => {
  assert.equal(value(readText("../deploy-cli/tenant.yaml"), "delivery_methods"), "[text]");
  assert.match(readText("../terraform/main.tf"), /delivery_methods = \["text"\]/);
  assert.match(readText("../cli/setup.sh"), /"delivery_methods":\["text"\]/);
});

test("every way gives each Action the same name, and no two Actions one name", () => {
  for (const [trigger, file] of Object.entries(TENANTS)) assert.equal(value(readText(`../${file}`), "name"), `Mitto ${trigger}`);
  assert.match(readText("../terraform/main.tf"), /"Mitto \$\{var\.trigger\}"/);
  assert.match(readText("../cli/setup.sh"), /ACTION_NAME:-Mitto \$trigger\}/);
});

test("Terraform keeps the secret out of its output and the steps in their order", () => {
  const main = readText("../terraform/main.tf");
  assert.match(readText("../terraform/variables.tf"), /variable "hook_secret" \{[^}]*sensitive += true/);
  assert.equal(main.match(/depends_on = \[auth0_action\.hook\]/g).length, 2);
  assert.doesNotMatch(readText("../terraform/outputs.tf"), /hook_secret|\.secrets/);
});

test("the README explains every code that can reach the tenant log", () => {
  const readme = readText("../README.md");
  for (const code of [...OWN_CODES, ...REPLIES.map((reply) => reply.code)]) assert.ok(readme.includes(`\`${code}\``), code);
});
