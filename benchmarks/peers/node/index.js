// The function of the published guide: it receives the hook's payload, posts to Mitto and responds. It checks nothing.

const http = require('node:http');
const https = require('node:https');

const functions = require('@google-cloud/functions-framework');
const axios = require('axios');

const url = `${process.env.MITTO_BASE_URL}/sms.json`;
const headers = { 'X-Mitto-API-Key': process.env.MITTO_API_KEY };

const agents = (options) => ({ httpAgent: new http.Agent(options), httpsAgent: new https.Agent(options) });
const kept = agents({ keepAlive: true });

async function relay(request, response, client) {
  const { recipient, text } = request.body;
  const answer = await client.post(url, { from: 'Mitto SMS', to: recipient, text }, { headers });
  if (answer.data.responseCode !== 0) {
    response.status(502).json({ status: 'failed' });
    return;
  }
  response.json({ status: 'sent', id: answer.data.id });
}

// (a): every call has its own axios instance and agent, so its own connection.
functions.http('new_connection', (request, response) => relay(request, response, axios.create(agents({ keepAlive: false }))));

// (b): one instance with connections that stay open.
const client = axios.create(kept);
functions.http('kept_connection', (request, response) => relay(request, response, client));
