"use strict"; // build: drop

/** Why the message was not accepted. All of it is constant or was checked, because it goes to the tenant log. */
class HookFailure extends Error {
  constructor(code, sentence, { isRetryable = false, facts = [] } = {}) {
    const known = facts.filter(Boolean).join(", ");
    super(`mitto-phone-hook ${code}: ${sentence}${known && ` (${known})`}`);
    this.code = code;
    this.isRetryable = isRetryable;
  }
}

module.exports = { HookFailure }; // build: drop
