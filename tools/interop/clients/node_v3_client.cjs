// wechatpay-node-v3: reads a task on stdin, prints one line of JSON for each step.
const https = require('https');
const { HttpsProxyAgent } = require('https-proxy-agent');
const WxPay = require('wechatpay-node-v3');
const { identity, read, run, task } = require('./course.cjs');

// Its HTTP client does not read HTTPS_PROXY; Node.js 24 does so by itself with NODE_USE_ENV_PROXY=1.
// It makes an agent of the global one's class for each call.
https.globalAgent = new (class extends HttpsProxyAgent {
  constructor() { super(process.env.HTTPS_PROXY); }
})();

const BASE = 'https://api.mch.weixin.qq.com/v3/payscore/serviceorder';
const isPublicKey = task.mode === 'public_key';
const pay = new WxPay({
  appid: task.appid,
  mchid: task.mchid,
  publicKey: Buffer.from(read('apiclient_cert.pem')), // it reads the serial in it, in lower case
  privateKey: Buffer.from(read('apiclient_key.pem')),
  key: read('apiv3_key.txt'),
});
// It has no mode for the public key: its table of certificates takes one by its id.
if (isPublicKey) WxPay.certificates = { [read('pub_key_id.txt')]: read('pub_key.pem') };

// It has no calls for PayScore: its authorization, its headers and its HTTP client are used as its own calls do.
const more = isPublicKey ? { 'Wechatpay-Serial': read('pub_key_id.txt') } : {};
const order = ({ status, data, error }) => {
  if (!(status < 300)) throw new Error(`${status} ${error}`);
  return data;
};
const post = async (url, body) => {
  const headers = pay.getHeaders(pay.buildAuthorization('POST', url, body), { ...more, 'Content-Type': 'application/json' });
  return order(await pay.httpService.post(url, body, headers));
};
const get = async (url) => order(await pay.httpService.get(url, pay.getHeaders(pay.buildAuthorization('GET', url), more)));

run({
  create: (body) => post(BASE, { ...identity, ...body }),
  complete: (number, body) => post(`${BASE}/${number}/complete`, { ...identity, ...body }),
  sync: (number, paid_time) => post(`${BASE}/${number}/sync`, { ...identity, type: 'Order_Paid', detail: { paid_time } }),
  query: (number) => get(BASE + pay.objectToQueryString({ ...identity, out_order_no: number })),
  cancel: (number, reason) => post(`${BASE}/${number}/cancel`, { ...identity, reason }),
  notification: async (signature, body) => {
    const genuine = await pay.verifySign({
      timestamp: signature['Wechatpay-Timestamp'],
      nonce: signature['Wechatpay-Nonce'],
      serial: signature['Wechatpay-Serial'],
      signature: signature['Wechatpay-Signature'],
      apiSecret: read('apiv3_key.txt'),
      body,
    });
    if (!genuine) return null;
    const { ciphertext, nonce, associated_data: associated } = JSON.parse(body).resource;
    return pay.decipher_gcm(ciphertext, associated, nonce, read('apiv3_key.txt'));
  },
});
