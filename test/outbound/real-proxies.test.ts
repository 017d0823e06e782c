/** The matrix once more through proxies that others wrote: tinyproxy, squid, dante. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Upstream, UpstreamKind } from '../../src/model/job.ts';
import { isInstalled, type RealProxyName, startRealProxy } from '../support/real-proxies.ts';
import { listen } from '../support/sockets.ts';
import { directExit } from '../support/upstream.ts';
import { faultOf, fetchText, keptBody, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();
const LOGIN = { username: 'jo', password: 'secret' };
/** Unlike `shop.localhost`, every system resolves it. */
const HOST = 'localhost';

const upstreamOn = (kind: UpstreamKind, port: number, login?: typeof LOGIN): Upstream => ({
  ...directExit(),
  id: `${kind}-${port}`,
  kind,
  host: kind === 'https' ? 'proxy.localhost' : '127.0.0.1',
  port,
  username: login?.username,
  password: login?.password,
  label: `127.0.0.1:${port}`,
});

interface Row {
  readonly name: RealProxyName;
  readonly kinds: readonly UpstreamKind[];
  readonly logins: readonly (typeof LOGIN | undefined)[];
}

const ROWS: readonly Row[] = [
  { name: 'tinyproxy', kinds: ['http'], logins: [undefined, LOGIN] },
  { name: 'squid', kinds: ['http', 'https'], logins: [undefined, LOGIN] },
  { name: 'danted', kinds: ['socks5'], logins: [undefined] },
];

/** A test of its own for each absent program: it says so in the output instead of passing silently. */
const whenInstalled = (name: RealProxyName, title: string, run: () => Promise<void>): void => {
  it(isInstalled(name) ? `${name} ${title}` : `${name} IS NOT INSTALLED HERE, not tried: ${title}`, async () => {
    if (isInstalled(name)) await run();
    else process.stderr.write(`${name} is not installed: "${title}" was not tried\n`);
  }, 30_000);
};

const startFor = async (row: Row, login: typeof LOGIN | undefined): Promise<(kind: UpstreamKind) => Upstream> => {
  const certificate = kit.authority.issue({ hosts: ['proxy.localhost'] });
  const proxy = kit.closing(await startRealProxy(row.name, { certificate, ...login }));
  return (kind) => upstreamOn(kind, kind === 'https' ? proxy.tlsPort : proxy.port, login);
};

const freePort = async (): Promise<number> => {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
};

const tryAll = async (upstream: Upstream): Promise<void> => {
  const out = kit.transport();
  const plain = await kit.origin();
  const secure = await kit.secureOrigin([HOST]);
  for (const scheme of ['http', 'https'] as const) {
    const site = scheme === 'http' ? plain : secure;
    for (const method of ['GET', 'POST', 'POST']) {
      const body = method === 'POST' ? keptBody('sent') : undefined;
      const request = requestTo(targetOf(scheme, HOST, site.port), { method, body, path: '/p?q' });
      const { response, text } = await fetchText(out, request, optionsFor({ upstream }));
      expect([response.status, text, response.exit]).toEqual([200, 'hello', upstream.label]);
      const seen = site.requests.at(-1);
      expect(seen?.head.startsWith(`${method} /p?q HTTP/1.1\r\n`)).toBe(true);
      expect([seen?.body, /proxy-authorization/i.test(seen?.head ?? '')]).toEqual([body ? 'sent' : '', false]);
    }
  }
};

describe('real upstream proxies', () => {
  for (const row of ROWS) {
    for (const login of row.logins) {
      whenInstalled(row.name, `carries http and https, ${login ? 'with' : 'without'} credentials`, async () => {
        const upstream = await startFor(row, login);
        for (const kind of row.kinds) await tryAll(upstream(kind));
      });
    }
    if (row.logins.length > 1) {
      whenInstalled(row.name, 'wanting credentials is an upstream failure (A-04)', async () => {
        const upstream = await startFor(row, LOGIN);
        for (const scheme of ['http', 'https'] as const) {
          const request = requestTo(targetOf(scheme, HOST, 8443));
          const wrong = { ...upstream('http'), username: undefined, password: undefined };
          const fault = await faultOf(fetchText(kit.transport(), request, optionsFor({ upstream: wrong })));
          expect(fault).toMatchObject({ condition: 'noslaves', upstreamFailed: true });
        }
      });
    }
  }

  whenInstalled('squid', 'marks what the target did (A-04)', async () => {
    const upstream = (await startFor({ name: 'squid', kinds: ['http'], logins: [] }, undefined))('http');
    const refused = await freePort();
    for (const scheme of ['http', 'https'] as const) {
      const out = kit.transport();
      const unknown = requestTo(targetOf(scheme, 'no-such-name.invalid', scheme === 'http' ? 80 : 443));
      const dead = requestTo(targetOf(scheme, '127.0.0.1', refused));
      const first = await faultOf(fetchText(out, unknown, optionsFor({ upstream, headMs: 15_000 })));
      // Squid 5 has forgotten how to say that a name does not resolve, 4 and 6 say it.
      expect(['nxdomain', 'ehostunreach']).toContain(first.condition);
      expect(first.upstreamFailed).toBe(false);
      const second = await faultOf(fetchText(out, dead, optionsFor({ upstream })));
      expect(second).toMatchObject({ condition: 'econnrefused', upstreamFailed: false, sent: 'nothing' });
    }
  });

  whenInstalled('danted', 'says what the target did (A-04)', async () => {
    const upstream = (await startFor({ name: 'danted', kinds: ['socks5'], logins: [] }, undefined))('socks5');
    const dead = requestTo(targetOf('http', '127.0.0.1', await freePort()));
    expect(await faultOf(fetchText(kit.transport(), dead, optionsFor({ upstream })))).toMatchObject({
      condition: 'econnrefused',
      upstreamFailed: false,
    });
  });
});
