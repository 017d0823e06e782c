/** axios with its own `proxy` option. node axios.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import axios from 'axios';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const address = process.argv[2] ?? 'https://target.example/';

const [host, port] = proxy.split(':');
const client = axios.create({
  proxy: { protocol: 'http', host, port: Number(port), auth: { username: key, password: '' } },
  httpsAgent: new Agent({ ca }),
  timeout: 190_000,
  // crawlgate's errors are read below.
  validateStatus: () => true,
});

const page = await client.get(address, { headers: { 'X-Crawlera-Session': 'create' } });
const session = page.headers['x-crawlera-session'];
console.log('GET', page.status, page.headers['x-crawlera-error'] ?? '', 'session', session);
console.log(page.data);

if (session) {
  const form = new URLSearchParams({ q: 'shoes' });
  const sent = await client.post(address, form, { headers: { 'X-Crawlera-Session': session } });
  console.log('POST', sent.status, sent.headers['x-crawlera-error'] ?? '', 'session', sent.headers['x-crawlera-session']);
}
