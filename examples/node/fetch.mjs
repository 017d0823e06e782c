/** Node's built-in fetch with undici's ProxyAgent as its dispatcher. node fetch.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import { ProxyAgent } from 'undici';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const address = process.argv[2] ?? 'https://target.example/';

const dispatcher = new ProxyAgent({
  uri: `http://${proxy}`,
  token: `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
  requestTls: { ca },
  headersTimeout: 190_000,
});

const page = await fetch(address, { dispatcher, headers: { 'X-Crawlera-Session': 'create' } });
const session = page.headers.get('X-Crawlera-Session');
console.log('GET', page.status, page.headers.get('X-Crawlera-Error') ?? '', 'session', session);
console.log(await page.text());

if (session) {
  const body = new URLSearchParams({ q: 'shoes' });
  const sent = await fetch(address, { dispatcher, method: 'POST', body, headers: { 'X-Crawlera-Session': session } });
  await sent.text();
  console.log('POST', sent.status, sent.headers.get('X-Crawlera-Error') ?? '', 'session', sent.headers.get('X-Crawlera-Session'));
}
await dispatcher.close();
