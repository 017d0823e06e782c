/** What docs/clients says of Chromium, run: the examples for Playwright as they stand, and Chromium from the command line. */
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { type Exit, run } from '../support/child.ts';
import { basic } from '../support/client.ts';
import { listen } from '../support/sockets.ts';
import { html, website } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const ROOT = resolve(import.meta.dirname, '../..');

const shop = website({
  '/': html('<h1>shop</h1><img src="/image"><img src="/image?2">'),
  '/image': (_request, response) => {
    response.setHeader('Content-Type', 'image/svg+xml');
    response.end('<svg xmlns="http://www.w3.org/2000/svg"/>');
  },
});

/** As an operator does it: `crawlgate ca install --nss ~/.pki/nssdb`; the town's folder is the home. */
const installCa = async (town: Town): Promise<void> => {
  const args = ['install', '--nss', join(town.folder, '.pki/nssdb')];
  expect(await runCa(args, join(town.proxy.folder, 'certs'), () => {})).toBe(0);
};

const runExample = async (town: Town, name: string, key = town.key): Promise<Exit> => {
  await installCa(town);
  return run('node', [`examples/playwright/${name}.mjs`, `${town.site.httpsUrl}/`], {
    cwd: ROOT,
    env: { HOME: town.folder, CRAWLGATE_PROXY: town.address, CRAWLGATE_API_KEY: key },
  });
};

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--dump-dom',
];

const runChromium = async (town: Town, address: string, ...args: readonly string[]): Promise<Exit> => {
  await installCa(town);
  const profile = `--user-data-dir=${join(town.folder, 'profile')}`;
  return run('chromium', [...FLAGS, profile, ...args, address], { env: { HOME: town.folder } });
};

const LOOPBACK_TOO = '--proxy-bypass-list=<-loopback>';

/** Without a key nothing leaves, but with one Chromium's own calls home would. */
const HOME_CALLS =
  'websites: { "*.google.com": { forbidden: true }, "*.googleapis.com": { forbidden: true }, "*.gstatic.com": { forbidden: true } }';

/** A proxy in front that adds the key to the CONNECT of every connection, as privoxy can. */
const startKeyring = async (town: Town): Promise<string> => {
  const server = createServer((client) => {
    const inside = connect(town.proxy.port, '127.0.0.1');
    client.once('data', (head: Buffer) => {
      const text = head.toString('latin1').replace('\r\n', `\r\nProxy-Authorization: ${basic(town.key)}\r\n`);
      inside.write(text, 'latin1');
      client.pipe(inside).pipe(client);
    });
    client.on('error', () => inside.destroy()).on('close', () => inside.destroy());
    inside.on('error', () => client.destroy()).on('close', () => client.destroy());
  });
  const { port, close } = await listen(server);
  onTestFinished(close);
  return `127.0.0.1:${port}`;
};

describeClient('chromium', () => {
  it('U-11 runs examples/playwright/page.mjs, in one session, with a right key and with a wrong one', async () => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const { out, err } = await runExample(town, 'page');
    expect(out + err).toMatch(/^200 {2}session \d+\nshop\n$/);
    expect(town.site.seen.map(({ url }) => url).sort()).toEqual(['/', '/image', '/image?2']);
    expect(town.upstreams.filter(({ seen }) => seen.length > 0)).toHaveLength(1);
    const wrong = await runExample(town, 'page', 'wrong');
    expect(wrong.err).toContain('net::ERR_HTTP_RESPONSE_CODE_FAILURE');
    expect(wrong.status).toBe(1);
  });

  it('U-11 runs examples/playwright/visitors.mjs: two names, two upstreams, and the first again', async () => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const { out, err } = await runExample(town, 'visitors');
    expect(err).toBe('');
    const [ada, bob, again] = out.trim().split('\n');
    expect(ada).toMatch(/^ada 200 session \d+ through 127\.0\.0\.1:\d+$/);
    expect(again).toBe(ada);
    const exit = (line = ''): string => line.slice(line.indexOf('through'));
    expect(exit(bob)).not.toBe(exit(ada));
  });

  it('S-04 H-15 runs examples/playwright/headers.mjs, which leaves no session behind', async () => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const { out, err } = await runExample(town, 'headers');
    expect(out + err).toBe('200 in the session made\nshop\n');
    const names = town.site.seen.flatMap(({ rawHeaders }) => rawHeaders.join(' '));
    expect(names.filter((one) => /crawlera/i.test(one))).toEqual([]);
    const response = await fetch(`http://${town.address}/sessions`, { headers: { Authorization: basic(town.key) } });
    expect(await response.json()).toEqual({});
  });

  it('C-01 opens an https page from the command line, the key added on the way', async () => {
    const town = await startTown({ upstreams: 1, handler: shop, yaml: HOME_CALLS });
    const keyring = await startKeyring(town);
    const { out } = await runChromium(town, `${town.site.httpsUrl}/`, `--proxy-server=${keyring}`, LOOPBACK_TOO);
    expect(out).toContain('<h1>shop</h1>');
    const heads = town.upstreams[0]?.seen ?? [];
    expect(heads.length).toBeGreaterThan(0);
    expect(heads.every((head) => head.startsWith('CONNECT shop.localhost:'))).toBe(true);
  });

  it.each(['http', 'https'] as const)(
    'U-04 U-05 opens no %s page where nobody answers the question for the key',
    async (scheme) => {
      const town = await startTown({ upstreams: 1, handler: shop });
      const { out } = await runChromium(
        town,
        `${town.site[`${scheme}Url`]}/`,
        `--proxy-server=${town.address}`,
        LOOPBACK_TOO,
      );
      expect(out).not.toContain('<h1>shop</h1>');
      expect(town.site.seen).toEqual([]);
      expect(town.proxy.receipts.length).toBeGreaterThan(0);
      expect(town.proxy.receipts.every(({ status }) => status === 407)).toBe(true);
    },
  );

  it('opens nothing, and asks nobody, where the key stands in the address of the proxy', async () => {
    const town = await startTown({ upstreams: 1, handler: shop });
    const server = `--proxy-server=http://${town.key}:@${town.address}`;
    const { out } = await runChromium(town, `${town.site.httpsUrl}/`, server, LOOPBACK_TOO);
    expect(out).not.toContain('<h1>shop</h1>');
    expect([...town.site.seen, ...town.proxy.receipts]).toEqual([]);
  });

  it('goes to names of the machine itself past the proxy unless it is told <-loopback>', async () => {
    const town = await startTown({ upstreams: 1, handler: shop });
    const { out } = await runChromium(town, `${town.site.httpUrl}/`, `--proxy-server=${town.address}`);
    expect(out).toContain('<h1>shop</h1>');
    expect(town.upstreams[0]?.seen).toEqual([]);
  });
});
