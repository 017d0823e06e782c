/** axios, with its own proxy option and with an agent. */
import { expect, it } from 'vitest';
import { describeClient, startTown } from './kit.ts';
import { echo, runScript } from './node-support.ts';
import { checkExample, SHOWN } from './node-tour.ts';

describeClient('axios', () => {
  checkExample('axios', { plain: 'GET', refusal: SHOWN, connections: 2 });
  checkExample('axios-agent', { plain: 'CONNECT', refusal: SHOWN, connections: 1 });

  it('takes the proxy from the environment', async () => {
    const town = await startTown({ handler: echo });
    const source = `
      import axios from 'axios';
      for (const base of process.argv.slice(1)) console.log((await axios.get(base + '/e')).data);`;
    const env = { NODE_EXTRA_CA_CERTS: town.caFile, http_proxy: town.proxyUrl, https_proxy: town.proxyUrl };
    const { out, err } = await runScript(town, source, [town.site.httpUrl, town.site.httpsUrl], { env });
    expect(out + err).toBe('saw GET /e \nsaw GET /e \n');
    expect(town.proxy.receipts).toHaveLength(2);
  });

  it('E-01 rejects with X-Crawlera-Error in its response unless told otherwise', async () => {
    const town = await startTown();
    const source = `
      import axios from 'axios';
      const headers = { 'X-Crawlera-Timeout': 'soon' };
      const { code, response } = await axios.get('${town.site.httpUrl}/', { headers }).catch((error) => error);
      console.log(code, response.status, response.headers['x-crawlera-error'], response.data);`;
    const { out, err } = await runScript(town, source, [], { env: { http_proxy: town.proxyUrl } });
    expect(out + err).toBe('ERR_BAD_RESPONSE 540 bad_header Bad header value for X-Crawlera-Timeout\n');
  });

  it('C-01 does not take a CA for the website from the options of https-proxy-agent', async () => {
    const town = await startTown();
    const source = `
      import { readFileSync } from 'node:fs';
      import axios from 'axios';
      import { HttpsProxyAgent } from 'https-proxy-agent';
      const ca = readFileSync(process.env.CRAWLGATE_CA);
      const httpsAgent = new HttpsProxyAgent('${town.proxyUrl}', { ca });
      const error = await axios.get('${town.site.httpsUrl}/', { proxy: false, httpsAgent }).catch((one) => one);
      console.log(error.message);`;
    const { out } = await runScript(town, source, []);
    expect(out).toMatch(/certificate/);
    expect(town.site.seen).toEqual([]);
  });
});
