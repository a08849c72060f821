// Checks with wechatpay-axios-plugin: reads a task on stdin, prints one line of JSON for each check.
const { Wechatpay, Rsa, Formatter, Aes } = require('wechatpay-axios-plugin');
const { readFileSync } = require('fs');

const task = JSON.parse(readFileSync(0, 'utf8'));
const { secret } = task;
const check = (what, passed, detail = '') =>
  console.log(JSON.stringify({ what, passed: Boolean(passed), detail: String(detail).slice(0, 200) }));

const client = (certs) => new Wechatpay({
  mchid: secret.mchid, serial: secret.serial_no, privateKey: secret.private_key, certs, baseURL: task.base_url, proxy: false,
});
const query = (wechatPay, number, headers) => wechatPay.v3.payscore.serviceorder.get({
  params: { service_id: task.service_id, appid: task.appid, out_order_no: number }, headers,
});

const run = async (mode, { platform_keys: keys, waiting, tampered, notification }) => {
  const wechatPay = client({ ...keys });
  const [serial] = Object.keys(keys);
  // Their client leaves it to the caller to request an answer signed with the public key.
  const headers = mode === 'public key' ? { 'Wechatpay-Serial': serial } : {};
  const queried = await query(wechatPay, waiting, headers);
  check(`query, ${mode}`, queried.status === 200 && queried.data.state === 'DOING', JSON.stringify(queried.data));
  const synced = await wechatPay.v3.payscore.serviceorder._out_order_no_.sync.post(
    { appid: task.appid, service_id: task.service_id, type: 'Order_Paid', detail: { paid_time: task.paid_time } },
    { out_order_no: waiting, headers },
  );
  check(`sync, ${mode}`, synced.status === 200 && synced.data.state === 'DONE', JSON.stringify(synced.data));
  const refused = await query(wechatPay, tampered, headers).then(() => 'it was accepted', (error) => error.code || error);
  check(`a tampered answer is refused, ${mode}`, refused === 'EV3_RES_HEADER_SIGNATURE_DIGEST', refused);

  const { headers: signature, body } = notification;
  const text = Formatter.response(signature['Wechatpay-Timestamp'], signature['Wechatpay-Nonce'], body);
  const signed = Rsa.verify(text, signature['Wechatpay-Signature'], Rsa.from(keys[serial], Rsa.KEY_TYPE_PUBLIC));
  const { ciphertext, nonce, associated_data: associated } = JSON.parse(body).resource;
  const plain = Aes.AesGcm.decrypt(ciphertext, secret.apiv3_key, nonce, associated);
  check(`a notification opens, ${mode}`, signed && JSON.parse(plain).out_order_no === waiting, signed);
};

(async () => {
  for (const [mode, orders] of Object.entries(task.modes)) await run(mode, orders);
  for (const request of task.requests) {
    const verified = (body) => Rsa.verify(
      Formatter.request(request.method, request.target, request.timestamp, request.nonce, body), request.signature, task.merchant_public_key,
    );
    const body = Buffer.from(request.body, 'base64').toString();
    const [accepted, changed] = [verified(body), verified(`${body} `)];
    check(`our request verifies, a changed one does not: ${request.what}`, accepted && !changed, [accepted, changed]);
  }
})().catch((error) => {
  console.error(String(error).slice(0, 200));
  process.exitCode = 1;
});
