// Runs beside wechatpay-axios-plugin: reads a task on stdin, prints one JSON line a check.
const { Wechatpay, Rsa, Formatter, Aes } = require('wechatpay-axios-plugin');
const { readFileSync } = require('fs');

const task = JSON.parse(readFileSync(0, 'utf8'));
const { secret } = task;
const check = (what, passed, detail = '') =>
  console.log(JSON.stringify({ what, passed: Boolean(passed), detail: String(detail).slice(0, 200) }));

const client = (certs) => new Wechatpay({
  mchid: secret.mchid, serial: secret.serial_no, privateKey: secret.private_key, certs, baseURL: task.base_url, proxy: false,
});
const query = (peer, number, headers) => peer.v3.payscore.serviceorder.get({
  params: { service_id: task.service_id, appid: task.appid, out_order_no: number }, headers,
});

const hear = async (mode, { platform_keys: keys, waiting, tampered, notification }) => {
  const peer = client({ ...keys });
  const [serial] = Object.keys(keys);
  // They leave it to the caller to ask for an answer that the public key signs.
  const asked = mode === 'public key' ? { 'Wechatpay-Serial': serial } : {};
  const found = await query(peer, waiting, asked);
  check(`query, ${mode}`, found.status === 200 && found.data.state === 'DOING', JSON.stringify(found.data));
  const synced = await peer.v3.payscore.serviceorder._out_order_no_.sync.post(
    { appid: task.appid, service_id: task.service_id, type: 'Order_Paid', detail: { paid_time: task.paid_time } },
    { out_order_no: waiting, headers: asked },
  );
  check(`sync, ${mode}`, synced.status === 200 && synced.data.state === 'DONE', JSON.stringify(synced.data));
  const refused = await query(peer, tampered, asked).then(() => 'it was accepted', (error) => error.code || error);
  check(`a tampered answer is refused, ${mode}`, refused === 'EV3_RES_HEADER_SIGNATURE_DIGEST', refused);

  const { headers, body } = notification;
  const text = Formatter.response(headers['Wechatpay-Timestamp'], headers['Wechatpay-Nonce'], body);
  const signed = Rsa.verify(text, headers['Wechatpay-Signature'], Rsa.from(keys[serial], Rsa.KEY_TYPE_PUBLIC));
  const { ciphertext, nonce, associated_data: associated } = JSON.parse(body).resource;
  const plain = Aes.AesGcm.decrypt(ciphertext, secret.apiv3_key, nonce, associated);
  check(`a notification opens, ${mode}`, signed && JSON.parse(plain).out_order_no === waiting, signed);
};

(async () => {
  for (const [mode, given] of Object.entries(task.modes)) await hear(mode, given);
  for (const ours of task.requests) {
    const verified = (body) => Rsa.verify(
      Formatter.request(ours.method, ours.target, ours.timestamp, ours.nonce, body), ours.signature, task.merchant_public_key,
    );
    const body = Buffer.from(ours.body, 'base64').toString();
    const [accepted, changed] = [verified(body), verified(`${body} `)];
    check(`our request is accepted, changed it is not: ${ours.what}`, accepted && !changed, [accepted, changed]);
  }
})().catch((error) => {
  console.error(String(error).slice(0, 200));
  process.exitCode = 1;
});
