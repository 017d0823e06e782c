/** got with an agent that opens tunnels. */
import { expect, it } from 'vitest';
import { describeClient, startTown } from './kit.ts';
import { echo, runScript } from './node-support.ts';
import { checkExample, SHOWN } from './node-tour.ts';

describeClient('got', () => {
  checkExample('got', { plain: 'CONNECT', refusal: SHOWN, connections: 1 });

  it('L-02 sends many requests at once, each in a tunnel', async () => {
    const town = await startTown({ handler: echo });
    const source = `
      import got from 'got';
      import { HttpsProxyAgent } from 'https-proxy-agent';
      const agent = new HttpsProxyAgent('${town.proxyUrl}');
      const numbers = Array.from({ length: 20 }, (_, number) => number);
      const pages = await Promise.all(numbers.map((n) => got('${town.site.httpsUrl}/' + n, { agent: { https: agent } }).text()));
      console.log(pages.every((page, n) => page === 'saw GET /' + n + ' '), pages.length);`;
    const { out, err } = await runScript(town, source, [], { env: { NODE_EXTRA_CA_CERTS: town.caFile } });
    expect(out + err).toBe('true 20\n');
    expect(town.site.seen).toHaveLength(20);
  });

  it('T-10 reaches an http page through a tunnel too', async () => {
    const town = await startTown({ handler: echo });
    const source = `
      import got from 'got';
      import { HttpsProxyAgent } from 'https-proxy-agent';
      const agent = new HttpsProxyAgent('${town.proxyUrl}');
      agent.on('proxyConnect', ({ statusCode }) => console.log('tunnel', statusCode));
      console.log(await got('${town.site.httpUrl}/plain', { agent: { http: agent } }).text());`;
    const { out, err } = await runScript(town, source, []);
    expect(out + err).toBe('tunnel 200\nsaw GET /plain \n');
  });

  it('E-01 throws an HTTPError with X-Crawlera-Error in its response unless told otherwise', async () => {
    const town = await startTown();
    const source = `
      import got from 'got';
      import { HttpsProxyAgent } from 'https-proxy-agent';
      const agent = new HttpsProxyAgent('${town.proxyUrl}');
      const headers = { 'X-Crawlera-Session': '1836172' };
      const error = await got('${town.site.httpsUrl}', { agent: { https: agent }, headers }).catch((one) => one);
      console.log(error.name, error.response.statusCode, error.response.headers['x-crawlera-error'], error.response.body);`;
    const { out, err } = await runScript(town, source, [], { env: { NODE_EXTRA_CA_CERTS: town.caFile } });
    expect(out + err).toBe('HTTPError 400 bad_session_id Incorrect session ID\n');
  });
});
