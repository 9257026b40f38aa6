// One call with the code of a caller. HOOK_URL, SECRET, TO, CODE and BODY come from the environment; what the caller's own code
// makes of the response is printed as JSON.
import { randomBytes } from 'node:crypto';

const { HOOK_URL, SECRET, TO, CODE, BODY } = process.env;

const post = async (headers, body) => {
  const response = await fetch(HOOK_URL, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body });
  return { status: response.status, body: await response.text() };
};

const callers = {
  // https://github.com/logto-io/logto: the connector as Logto loads it, with what its core passes on.
  async logto() {
    const { default: create } = await import('@logto/connector-http-sms');
    const connector = await create({ getConfig: async () => ({ endpoint: HOOK_URL, authorization: SECRET }) });
    const payload = { code: CODE, locale: 'de', uiLocales: 'de en', application: { id: 'app1', name: 'App' } };
    const response = await connector.sendMessage({ to: TO, type: 'SignIn', payload, ip: '198.51.100.7' });
    return { status: response.statusCode };
  },

  // https://www.better-auth.com/docs/plugins/phone-number: sendOTP is ours to write, and fetch does not throw on 4xx.
  async 'better-auth'() {
    const { betterAuth } = await import('better-auth');
    const { memoryAdapter } = await import('better-auth/adapters/memory');
    const { phoneNumber } = await import('better-auth/plugins');
    const sendOTP = async ({ phoneNumber: recipient, code }) => {
      const text = `${code} is your verification code.`;
      const { status, body } = await post({ Authorization: `Bearer ${SECRET}` }, JSON.stringify({ recipient, text, code }));
      if (status !== 200) throw new Error(JSON.parse(body).error.code);
    };
    const auth = betterAuth({
      baseURL: 'http://127.0.0.1:3000',
      secret: randomBytes(32).toString('base64'),
      telemetry: { enabled: false },
      logger: { disabled: true },
      database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
      plugins: [phoneNumber({ sendOTP })],
    });
    return { message: (await auth.api.sendPhoneNumberOTP({ body: { phoneNumber: TO } })).message };
  },

  // https://www.npmjs.com/package/svix: how Clerk's messages are signed.
  async svix() {
    const { Webhook } = await import('svix');
    const now = new Date();
    const id = `msg_${randomBytes(12).toString('hex')}`;
    const signature = new Webhook(SECRET).sign(id, now, BODY);
    const headers = { 'svix-id': id, 'svix-timestamp': String(Math.floor(now / 1000)), 'svix-signature': signature };
    return post(headers, BODY);
  },

  // https://www.npmjs.com/package/standardwebhooks
  async standardwebhooks() {
    const { Webhook } = await import('standardwebhooks');
    const now = new Date();
    const id = `msg_${randomBytes(12).toString('hex')}`;
    const signature = new Webhook(SECRET).sign(id, now, BODY);
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(Math.floor(now / 1000)), 'webhook-signature': signature };
    return post(headers, BODY);
  },
};

try {
  console.log(JSON.stringify({ is_sent: true, ...(await callers[process.argv[2]]()) }));
} catch (error) {
  console.log(JSON.stringify({ is_sent: false, shown: String(error.data?.message ?? error.message) }));
}
