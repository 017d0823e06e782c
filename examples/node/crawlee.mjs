/** Crawlee's ProxyConfiguration: each of Crawlee's sessions keeps to one of crawlgate's. node crawlee.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import { GotScrapingHttpClient, ProxyConfiguration } from '@crawlee/core';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const address = process.argv[2] ?? 'https://target.example/';

// This is what a crawler is given: new CheerioCrawler({ proxyConfiguration, ... }).
const proxyConfiguration = new ProxyConfiguration({
  // The name of a session stands in the user name: letters, digits and underscores, at most 64.
  newUrlFunction: (sessionId) => {
    const session = sessionId === undefined ? '' : `-session-${String(sessionId).replace(/\W/g, '_').slice(0, 64)}`;
    return `http://${key}${session}:@${proxy}`;
  },
});

// And this is what a crawler does with it, request by request.
const client = new GotScrapingHttpClient();
for (const sessionId of ['session_A1', 'session_A1', 'session_B2']) {
  const page = await client.sendRequest({
    url: address,
    proxyUrl: await proxyConfiguration.newUrl(sessionId),
    https: { certificateAuthority: ca, rejectUnauthorized: true },
    throwHttpErrors: false,
  });
  const { 'x-crawlera-error': error = '', 'x-crawlera-session': session, 'x-crawlera-slave': exit } = page.headers;
  console.log('GET', page.statusCode, error, sessionId, 'is session', session, 'at', exit);
  console.log(page.body);
}
