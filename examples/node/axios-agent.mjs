/** axios with https-proxy-agent: tunnels that are kept open. node axios-agent.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import axios from 'axios';
import { HttpsProxyAgent } from 'https-proxy-agent';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const address = process.argv[2] ?? 'https://target.example/';

const agent = new HttpsProxyAgent(`http://${key}:@${proxy}`, { keepAlive: true });
// Given to the constructor it would be for a proxy that speaks TLS itself; here it is for the websites.
agent.options.ca = ca;
const client = axios.create({
  // Its own idea of a proxy, of the environment too, would come on top.
  proxy: false,
  httpAgent: agent,
  httpsAgent: agent,
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
agent.destroy();
