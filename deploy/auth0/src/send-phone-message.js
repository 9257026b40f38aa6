"use strict"; // build: drop
const { deliver } = require("./call-hook.js"); // build: drop
const { toHookMessage } = require("./request.js"); // build: drop

const readSendPhoneMessage = (event) =>
  toHookMessage(event, {
    ...event.message_options,
    channel: event.message_options?.message_type,
    language: event.request?.language,
  });

/** MFA on the classic phone factor. Here only a throw says "not sent"; its code and message go to the tenant log. */
exports.onExecuteSendPhoneMessage = async (event) => {
  const failure = await deliver(event, readSendPhoneMessage);
  if (failure) throw failure;
};
