/** got: an agent that opens tunnels for http and https alike. node got.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import got from 'got';
import { HttpsProxyAgent } from 'https-proxy-agent';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const address = process.argv[2] ?? 'https://target.example/';

const agent = new HttpsProxyAgent(`http://${key}:@${proxy}`, { keepAlive: true });
const client = got.extend({
  agent: { http: agent, https: agent },
  https: { certificateAuthority: ca },
  timeout: { request: 190_000 },
  // crawlgate retries by itself, and its errors are read below.
  retry: { limit: 0 },
  throwHttpErrors: false,
});

const page = await client(address, { headers: { 'X-Crawlera-Session': 'create' } });
const session = page.headers['x-crawlera-session'];
console.log('GET', page.statusCode, page.headers['x-crawlera-error'] ?? '', 'session', session);
console.log(page.body);

if (session) {
  const sent = await client.post(address, { form: { q: 'shoes' }, headers: { 'X-Crawlera-Session': session } });
  console.log('POST', sent.statusCode, sent.headers['x-crawlera-error'] ?? '', 'session', sent.headers['x-crawlera-session']);
}
agent.destroy();
