/** Node's own http module, no package, no tunnel, no CA: the proxy is asked for the whole address, https too. node http.mjs ADDRESS */
import { request } from 'node:http';

const [host, port] = (process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010').split(':');
const key = process.env.CRAWLGATE_API_KEY;
const address = process.argv[2] ?? 'https://target.example/';

const login = { 'Proxy-Authorization': `Basic ${Buffer.from(`${key}:`).toString('base64')}` };

const send = (method, headers, body) =>
  new Promise((resolve, reject) => {
    const options = { host, port, method, path: address, timeout: 190_000 };
    const asked = request({ ...options, headers: { Host: new URL(address).host, ...login, ...headers } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ response, text: Buffer.concat(chunks).toString() }));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end(body);
  });

const { response, text } = await send('GET', { 'X-Crawlera-Session': 'create' });
const session = response.headers['x-crawlera-session'];
console.log('GET', response.statusCode, response.headers['x-crawlera-error'] ?? '', 'session', session);
console.log(text);

if (session) {
  const form = { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Crawlera-Session': session };
  const { response: sent } = await send('POST', form, 'q=shoes');
  console.log('POST', sent.statusCode, sent.headers['x-crawlera-error'] ?? '', 'session', sent.headers['x-crawlera-session']);
}
