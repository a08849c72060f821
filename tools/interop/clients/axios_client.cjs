// wechatpay-axios-plugin: reads a task on stdin, prints one line of JSON for each step.
const { X509Certificate } = require('crypto');
const { Wechatpay, Rsa, Formatter, Aes } = require('wechatpay-axios-plugin');
const { readdirSync } = require('fs');
const { identity, read, run, task } = require('./course.cjs');

const platformCertificates = () => Object.fromEntries(readdirSync(task.folder)
  .map((name) => [/^wechatpay_(\w+)\.pem$/.exec(name), name])
  .filter(([match]) => match)
  .map(([match, name]) => [match[1], read(name)]));

const certs = task.mode === 'public_key' ? { [read('pub_key_id.txt')]: read('pub_key.pem') } : platformCertificates();
const wechatPay = new Wechatpay({
  mchid: task.mchid,
  serial: new X509Certificate(read('apiclient_cert.pem')).serialNumber,
  privateKey: read('apiclient_key.pem'),
  certs,
});
const orders = wechatPay.v3.payscore.serviceorder;
// Their client leaves it to the caller to ask for an answer that is signed with the public key.
const headers = task.mode === 'public_key' ? { 'Wechatpay-Serial': read('pub_key_id.txt') } : {};
const post = (node, number, body) => node.post({ ...identity, ...body }, { out_order_no: number, headers }).then(({ data }) => data);

run({
  create: (body) => orders.post({ ...identity, ...body }, { headers }).then(({ data }) => data),
  complete: (number, body) => post(orders._out_order_no_.complete, number, body),
  sync: (number, paid_time) => post(orders._out_order_no_.sync, number, { type: 'Order_Paid', detail: { paid_time } }),
  query: (number) => orders.get({ params: { ...identity, out_order_no: number }, headers }).then(({ data }) => data),
  cancel: (number, reason) => post(orders._out_order_no_.cancel, number, { reason }),
  // It has no call for notifications; its pieces are put together as its documentation does.
  notification: (signature, body) => {
    const text = Formatter.response(signature['Wechatpay-Timestamp'], signature['Wechatpay-Nonce'], body);
    const key = Rsa.from(certs[signature['Wechatpay-Serial']], Rsa.KEY_TYPE_PUBLIC);
    if (!Rsa.verify(text, signature['Wechatpay-Signature'], key)) return null;
    const { ciphertext, nonce, associated_data: associated } = JSON.parse(body).resource;
    return JSON.parse(Aes.AesGcm.decrypt(ciphertext, read('apiv3_key.txt'), nonce, associated));
  },
  verify: (request, body) => Rsa.verify(
    Formatter.request(request.method, request.target, request.timestamp, request.nonce, body), request.signature, task.merchant_public_key,
  ),
});
