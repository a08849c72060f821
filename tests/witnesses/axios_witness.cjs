// Runs beside wechatpay-axios-plugin: reads a task on stdin, prints one JSON line a check.
const { Wechatpay, Rsa, Formatter, Aes } = require('wechatpay-axios-plugin');
const { readFileSync } = require('fs');

const task = JSON.parse(readFileSync(0, 'utf8'));
const { secret } = task;
const check = (what, passed, detail = '') =>
  console.log(JSON.stringify({ what, passed: Boolean(passed), detail: String(detail).slice(0, 200) }));

const client = (certs) =>
  new Wechatpay({
    mchid: secret.mchid, serial: secret.serial_no, privateKey: secret.private_key, certs, baseURL: task.base_url, proxy: false,
  });
const query = (peer, headers) =>
  peer.v3.payscore.serviceorder.get({
    params: { service_id: task.service_id, appid: task.appid, out_order_no: task.waiting }, headers,
  });

(async () => {
  const [[publicKeyId]] = Object.entries(secret.platform_keys);
  const byKey = client(secret.platform_keys);
  const asked = { 'Wechatpay-Serial': publicKeyId };
  check('query, public key', (await query(byKey, asked)).data.state === 'DOING');
  check('query, platform certificate', (await query(client(task.certificates))).data.state === 'DOING');
  const synced = await byKey.v3.payscore.serviceorder._out_order_no_.sync.post(
    { appid: task.appid, service_id: task.service_id, type: 'Order_Paid', detail: { paid_time: task.paid_time } },
    { out_order_no: task.waiting, headers: asked },
  );
  check('sync', synced.data.state === 'DONE', JSON.stringify(synced.data));

  await fetch(`${task.base_url}/__sandbox__/misbehave`, {
    method: 'POST', body: JSON.stringify({ name: 'tampered_body', times: 1 }),
  });
  const refused = await query(byKey, asked).then(() => 'it was accepted', (error) => error);
  check('a tampered answer is refused', refused.code === 'EV3_RES_HEADER_SIGNATURE_DIGEST', refused.code || refused);

  const { headers, body } = task.notification;
  const text = Formatter.response(headers['Wechatpay-Timestamp'], headers['Wechatpay-Nonce'], body);
  const key = Rsa.fromPem ? secret.platform_keys[publicKeyId] : secret.platform_keys[publicKeyId];
  const { resource } = JSON.parse(body);
  const plain = Aes.AesGcm.decrypt(resource.ciphertext, secret.apiv3_key, resource.nonce, resource.associated_data);
  check('a notification opens',
    Rsa.verify(text, headers['Wechatpay-Signature'], key) && JSON.parse(plain).out_order_no === task.waiting);

  for (const ours of task.requests) {
    const message = Formatter.request(
      ours.method, ours.target, ours.timestamp, ours.nonce, Buffer.from(ours.body, 'base64').toString());
    check(`our request is accepted: ${ours.what}`, Rsa.verify(message, ours.signature, task.merchant_public_key));
  }
})().catch((error) => check('the witness did not finish', false, error.stack));
