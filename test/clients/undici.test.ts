/** undici and the built-in fetch with its dispatcher. */
import { expect, it } from 'vitest';
import { describeClient, startTown, type Town } from './kit.ts';
import { echo, runScript, startDoor, WRONG_KEY } from './node-support.ts';
import { checkExample } from './node-tour.ts';

describeClient('undici', () => {
  checkExample('undici', {
    plain: 'CONNECT',
    refusal: /RequestAbortedError.*Proxy response \(407\) !== 200[\s\S]*UND_ERR_ABORTED/,
  });
  checkExample('fetch', { plain: 'CONNECT', refusal: /TypeError: fetch failed[\s\S]*UND_ERR_ABORTED/ });

  const login = async (town: Town, options: string): Promise<string> => {
    const source = `
      import { ProxyAgent, request } from 'undici';
      const dispatcher = new ProxyAgent(${options});
      const page = await request('${town.site.httpUrl}/', { dispatcher }).catch((error) => error);
      console.log(page.statusCode ?? page.message);
      await page.body?.dump();
      await dispatcher.close();`;
    const { out, err } = await runScript(town, source, []);
    return out + err;
  };

  it('U-01 leaves out a login whose password is empty, so the key wants any password or a token', async () => {
    const town = await startTown();
    const withPassword = town.proxyUrl.replace(':@', ':x@');
    expect(await login(town, `'${town.proxyUrl}'`)).toContain('Proxy response (407)');
    expect(await login(town, `'${withPassword}'`)).toBe('200\n');
  });

  it('T-02 sends an http address in absolute form without proxyTunnel', async () => {
    const town = await startTown({ handler: echo });
    const door = await startDoor(town);
    const uri = `http://${town.key}:x@${door.address}`;
    expect(await login(town, `{ uri: '${uri}', proxyTunnel: false }`)).toBe('200\n');
    expect(door.opened).toEqual(['GET']);
    expect(await login(town, `{ uri: 'http://${WRONG_KEY}:x@${door.address}', proxyTunnel: false }`)).toContain(
      '(407)',
    );
  });

  it('serves every fetch of the program as its global dispatcher', async () => {
    const town = await startTown({ handler: echo });
    const source = `
      import { ProxyAgent, setGlobalDispatcher } from 'undici';
      setGlobalDispatcher(new ProxyAgent('${town.proxyUrl.replace(':@', ':x@')}'));
      const pages = await Promise.all(['${town.site.httpUrl}/p', '${town.site.httpsUrl}/s'].map((one) => fetch(one)));
      for (const page of pages) console.log(page.headers.get('X-Crawlera-Version'), await page.text());`;
    const { out, err } = await runScript(town, source, [], { env: { NODE_EXTRA_CA_CERTS: town.caFile } });
    expect(out + err).toBe('9.8.7 saw GET /p \n9.8.7 saw GET /s \n');
  });

  it('T-20 L-02 sends many requests at once through as few connections as it is allowed', async () => {
    const town = await startTown({ handler: echo });
    const door = await startDoor(town);
    const source = `
      import { ProxyAgent, request } from 'undici';
      const dispatcher = new ProxyAgent({ uri: 'http://${town.key}:x@${door.address}', connections: 2 });
      const numbers = Array.from({ length: 20 }, (_, number) => number);
      const pages = await Promise.all(
        numbers.map(async (n) => (await request('${town.site.httpsUrl}/' + n, { dispatcher })).body.text()),
      );
      console.log(pages.every((page, n) => page === 'saw GET /' + n + ' '), pages.length);
      await dispatcher.close();`;
    const { out, err } = await runScript(town, source, [], { env: { NODE_EXTRA_CA_CERTS: town.caFile } });
    expect(out + err).toBe('true 20\n');
    expect(door.opened).toHaveLength(2);
  });
});
