/** Node's own http and https modules, as the service's samples used them: no package at all. */
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { listen } from '../support/sockets.ts';
import { describeClient, startTown } from './kit.ts';
import { echo, runExample, runScript, startDoor, WRONG_KEY } from './node-support.ts';
import { SHOWN, TOUR } from './node-tour.ts';

describeClient('nodeHttp', () => {
  it.each(['http', 'https'] as const)(
    'T-02 T-03 asks for a whole %s address, with no tunnel and no CA',
    async (scheme) => {
      const town = await startTown({ upstreams: 2, handler: echo });
      const base = town.site[`${scheme}Url`];
      const { out, err } = await runExample(town, 'http', `${base}/a`, { caFile: '/nowhere' });
      expect(err).toBe('');
      expect(out).toMatch(TOUR);
      expect(town.site.seen.map(({ method, secure }) => [method, secure])).toEqual([
        ['GET', scheme === 'https'],
        ['POST', scheme === 'https'],
      ]);
      expect(town.site.seen.flatMap(({ rawHeaders }) => rawHeaders).join()).not.toMatch(/crawlera|proxy-/i);
    },
  );

  it('U-04 is answered 407 with bad_auth for a wrong key', async () => {
    const town = await startTown();
    const { out } = await runExample(town, 'http', town.site.httpsUrl, { key: WRONG_KEY });
    expect(out).toMatch(SHOWN);
  });

  it('E-01 S-13 is answered with X-Crawlera-Error and a session for a request that failed', async () => {
    const town = await startTown();
    const gone = await listen(createServer());
    await gone.close();
    const { out } = await runExample(town, 'http', `http://shop.localhost:${gone.port}/`);
    expect(out).toMatch(/^GET 502 econnrefused session \d+\nConnection refused\nPOST 502 econnrefused session \d+\n$/);
  });

  it('T-20 keeps one connection to the proxy for pages of several websites', async () => {
    const town = await startTown({ handler: echo });
    const door = await startDoor(town);
    const source = `
      import { Agent, get } from 'node:http';
      const [host, port] = process.env.CRAWLGATE_PROXY.split(':');
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const headers = { 'Proxy-Authorization': 'Basic ' + btoa(process.env.CRAWLGATE_API_KEY + ':') };
      for (const path of process.argv.slice(1)) {
        const page = await new Promise((resolve) => get({ host, port, path, agent, headers: { ...headers, Host: new URL(path).host } }, resolve));
        console.log(page.statusCode, (await page.toArray()).join(''));
      }
      agent.destroy();`;
    const addresses = [
      `${town.site.httpUrl}/1`,
      `${town.site.httpsUrl}/2`,
      `${town.site.httpUrl.replace('shop', 'news')}/3`,
    ];
    const { out, err } = await runScript(town, source, addresses, { proxy: door.address });
    expect(out + err).toBe('200 saw GET /1 \n200 saw GET /2 \n200 saw GET /3 \n');
    expect(door.opened).toHaveLength(1);
  });

  it('T-04 T-07 H-05 opens a tunnel by hand and speaks TLS in it', async () => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const { out, err } = await runExample(town, 'https', `${town.site.httpsUrl}/a`);
    expect(err).toBe('');
    expect(out).toMatch(/^GET 200 {2}session \d+\nsaw GET \/a $/);
  });

  it('U-06 is refused the tunnel for a wrong key', async () => {
    const town = await startTown();
    const { err, status } = await runExample(town, 'https', town.site.httpsUrl, { key: WRONG_KEY });
    expect(err).toContain('CONNECT 407 bad_auth');
    expect(status).toBe(1);
  });
});
