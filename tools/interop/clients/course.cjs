// The steps of a client in JavaScript: reads a task on stdin, prints one line of JSON for each step.
const { readFileSync } = require('fs');
const http = require('http');
const path = require('path');

const task = JSON.parse(readFileSync(0, 'utf8'));
const identity = { appid: task.appid, service_id: task.service_id };
const read = (name) => readFileSync(path.join(task.folder, name), 'utf8').trim();

// What the customer does, on the simulator's control port.
const control = (verb, number) => new Promise((resolve, reject) => {
  const request = http.request(`${task.control_url}/__sandbox__/${verb}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
  }, (answer) => {
    let text = '';
    answer.on('data', (part) => { text += part; }).on('end', () => resolve(JSON.parse(text)));
  });
  request.on('error', reject).end(JSON.stringify({ mchid: task.mchid, out_order_no: number }));
});

const report = async (step, action) => {
  const result = await Promise.resolve().then(action).catch((error) => `${error.name}: ${error.message}`);
  const text = result === true ? 'ok' : String(result).replace(/\s+/g, ' ').slice(0, 200);
  console.log(JSON.stringify({ step, result: text }));
};

const verdict = (action) => Promise.resolve().then(action).then((opened) => (opened ? 'accepted' : 'refused'), () => 'refused');
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const nowInBeijing = () => new Date(Date.now() + 8 * 3600 * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14);

// What a shop completes an order with: the service ends now.
const completion = () => ({ ...task.completion, time_range: { end_time: nowInBeijing() } });

const isCancelled = async (client, number) => {
  await client.create(task.creations[number]);
  await client.cancel(number, '顾客取消');
  return (await client.query(number)).state === 'REVOKED';
};

const verifies = (verify, request) => {
  const body = Buffer.from(request.body, 'base64').toString();
  return verify(request, body) && !verify(request, `${body} `);
};

const run = async (client) => {
  const { paid, cancelled, tampered, notified } = task.orders;
  await report('create', async () => (await client.create(task.creations[paid])).state === 'CREATED');
  await report('confirm', async () => (await control('confirm', paid)).state === 'DOING');
  await report('complete', async () => (await client.complete(paid, completion())).state === 'DOING');
  await pause(1100); // a payment is later than the completion, by whole seconds
  await report('sync', async () => (await client.sync(paid, nowInBeijing())).state === 'DONE');
  await report('query', async () => (await client.query(paid)).collection.details[0].paid_type === 'MCH');
  await report('cancel', () => isCancelled(client, cancelled));
  await report('tampered answer', () => verdict(() => client.query(tampered)));
  const { notification, ...others } = task.notifications;
  await report('notification', async () => (await client.notification(...notification)).out_order_no === notified);
  for (const [name, [headers, body]] of Object.entries(others)) {
    await report(name, () => verdict(() => client.notification(headers, body)));
  }
  if (client.verify) await report('our requests', () => task.requests.every((request) => verifies(client.verify, request)));
};

module.exports = { identity, read, run, task };
