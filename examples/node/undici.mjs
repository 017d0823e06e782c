/** undici: its own ProxyAgent. node undici.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import { ProxyAgent, request } from 'undici';

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

const page = await request(address, { dispatcher, headers: { 'X-Crawlera-Session': 'create' } });
const session = page.headers['x-crawlera-session'];
console.log('GET', page.statusCode, page.headers['x-crawlera-error'] ?? '', 'session', session);
console.log(await page.body.text());

if (session) {
  const sent = await request(address, {
    dispatcher,
    method: 'POST',
    body: 'q=shoes',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Crawlera-Session': session },
  });
  await sent.body.dump();
  console.log('POST', sent.statusCode, sent.headers['x-crawlera-error'] ?? '', 'session', sent.headers['x-crawlera-session']);
}
await dispatcher.close();
