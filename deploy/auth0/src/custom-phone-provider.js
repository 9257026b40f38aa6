"use strict"; // build: drop
const { deliver } = require("./call-hook.js"); // build: drop
const { toHookMessage } = require("./request.js"); // build: drop

const readNotification = ({ notification, ...event }) =>
  toHookMessage(event, {
    channel: notification?.delivery_method,
    recipient: notification?.recipient,
    text: notification?.as_text,
    action: notification?.message_type,
    language: notification?.locale || event.request?.language,
    code: notification?.code,
  });

/** The tenant-wide phone provider. Auth0 repeats a retry up to five times, so only what is certainly not sent may ask for one. */
exports.onExecuteCustomPhoneProvider = async (event, api) => {
  const failure = await deliver(event, readNotification);
  if (failure?.isRetryable) api.notification.retry(failure.message);
  else if (failure) api.notification.drop(failure.message);
};
