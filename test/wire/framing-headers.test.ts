/** What of a request's head crosses: nominated and hop-by-hop fields, Host, and one key for every spelling of a host (A08 to A11, B04 to B06, D10). */
import { describe, expect, it } from 'vitest';
import { AUTH, get, openSecure, openTunnel } from '../support/client.ts';
import { makeOrigin } from '../support/origin.ts';
import { type RunningProxy, startProxy } from '../support/proxy.ts';
import { makeUpstream } from '../support/upstream.ts';
import { everything, headFor, makeLines, makeStage, statusesIn } from './transport-kit.ts';

const stage = makeStage();
const line = makeLines();

const PASS = 'X-Crawlera-UA: pass\r\nX-Crawlera-Cookies: disable\r\n';
const fieldsOf = (head: string | undefined): string[] => (head ?? '').split('\r\n').slice(1, -2);
const seen = (): string[] => fieldsOf(stage.origin.requests.at(-1)?.head);

const HOP_BY_HOP = [
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authenticate: Basic',
  'Proxy-Authentication-Info: x',
  'proxy-anything: x',
  'TE: trailers',
  'Trailer: X-Late',
];

describe('requests', () => {
  it('robustness A09 F-01 F-04 forwards end-to-end fields in order and case, and no hop-by-hop field', async () => {
    const kept = ['aCCept: */*', 'X-One: 1', 'x-one: 2', 'Cookie: a=b', 'X-Empty:', 'Authorization: Basic dGFyZ2V0'];
    const lines = kept.flatMap((one, i) => [HOP_BY_HOP[i] ?? '', one]).concat(HOP_BY_HOP.slice(kept.length));
    const client = await line(stage.proxy.port);
    const more = lines.map((one) => `${one}\r\n`).join('');
    expect((await client.ask(headFor(stage, '/', PASS + more))).status).toBe(200);
    expect(seen()).toEqual([
      `Host: ${stage.authority}`,
      ...kept.map((one) => (one === 'X-Empty:' ? 'X-Empty: ' : one)),
    ]);
  });

  it.each([
    ['one name', 'Connection: X-A', ['X-B: 2']],
    ['a list', 'Connection: keep-alive, x-a ,, X-B', []],
    ['several lines', 'Connection: x-a\r\nConnection: x-b', []],
    ['Proxy-Connection, which nominates nothing', 'Proxy-Connection: x-a', ['X-A: 1', 'X-B: 2']],
    ['close and nothing else', 'Connection: close', ['X-A: 1', 'X-B: 2']],
  ])('robustness A08 drops what Connection names: %s', async (_what, connection, left) => {
    const client = await line(stage.proxy.port);
    await client.ask(headFor(stage, '/', `${PASS}X-A: 1\r\n${connection}\r\nX-B: 2\r\n`));
    expect(seen()).toEqual([`Host: ${stage.authority}`, ...left]);
  });

  it('robustness A08 never lets Connection name Host, credentials or controls back in', async () => {
    const client = await line(stage.proxy.port);
    const text = headFor(stage, '/', `${PASS}Connection: host, proxy-authorization, x-crawlera-ua\r\n`);
    expect((await client.ask(text)).status).toBe(200);
    expect(seen()).toEqual([`Host: ${stage.authority}`]);
  });

  it.each([
    ['plain', openTunnel],
    ['TLS', openSecure],
  ])('robustness A09 U-07 holds in a tunnel, %s', async (kind, open) => {
    const inside = await open(stage.proxy, kind === 'TLS' ? `127.0.0.1:${stage.proxy.port}` : stage.authority);
    const lines = HOP_BY_HOP.map((one) => `${one}\r\n`).join('');
    const answer = await inside.ask(`GET /sessions HTTP/1.1\r\nHost: ${stage.authority}\r\n${PASS}${AUTH}${lines}\r\n`);
    expect(answer.status).toBe(200);
    if (kind === 'plain') expect(seen()).toEqual([`Host: ${stage.authority}`]);
    inside.socket.destroy();
  });

  it("F-04 keeps the client's own Host in a tunnel as it is", async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    await inside.ask(`GET / HTTP/1.1\r\nX-First: 1\r\nhOST: SHOP.localhost\r\n${PASS}\r\n`);
    expect(seen()).toEqual(['X-First: 1', 'hOST: SHOP.localhost']);
    inside.socket.destroy();
  });
});

describe('responses', () => {
  it('robustness A09 F-06 come without hop-by-hop fields and without fields in our name', async () => {
    const bad = [
      ...HOP_BY_HOP,
      'Upgrade: h2',
      'X-Crawlera-Error: banned',
      'x-crawlera-session: 1',
      'Zyte-Error: banned',
    ];
    const lines = ['Connection: X-Gone', 'X-Gone: 1', 'X-Stays: 1', 'Set-Cookie: a=1', 'set-cookie: b=2', ...bad];
    stage.origin.enqueue(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${lines.join('\r\n')}\r\n\r\nok`);
    const answer = await get(stage.proxy, `${stage.site}/`);
    expect(answer.headers.map(([name, value]) => `${name}: ${value}`)).toEqual([
      'Content-Length: 2',
      'X-Stays: 1',
      'Set-Cookie: a=1',
      'set-cookie: b=2',
      'X-Crawlera-Version: 9.8.7',
      'X-Crawlera-Slave: 127.0.0.1:0',
      'Connection: keep-alive',
      'Keep-Alive: timeout=117',
    ]);
  });

  it('robustness A08 keep their framing when Connection names it', async () => {
    stage.origin.enqueue('HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok');
    const client = await line(stage.proxy.port);
    const answer = await client.ask(headFor(stage));
    expect([answer.header('Content-Length'), answer.body, answer.complete]).toEqual(['2', 'ok', true]);
    expect((await client.ask(headFor(stage))).body).toBe('hello');
  });
});

describe('the place a request names', () => {
  const hostSent = (): string | undefined => seen().find((one) => /^host:/i.test(one));

  it.each([
    ['another host', 'evil.example'],
    ['another port', 'shop.localhost:1'],
    ['nothing', ''],
    ['user information', 'a:b@shop.localhost'],
    ['nonsense', '???'],
  ])('robustness A11 D10 goes by the URL when Host names %s', async (_what, host) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET ${stage.site}/ HTTP/1.1\r\nHost: ${host}\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(200);
    expect(hostSent()).toBe(`Host: ${stage.authority}`);
    expect(stage.proxy.receipts.at(-1)?.website).toBe('shop.localhost');
  });

  it('robustness D10 judges the real destination, not the Host header', async () => {
    const proxy = await startProxy('websites:\n  "forbidden.localhost": { forbidden: true }\n');
    const ask = async (url: string, host: string): Promise<number> => {
      const client = await line(proxy.port);
      return (await client.ask(`GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${AUTH}\r\n`)).status;
    };
    expect(await ask(`http://forbidden.localhost:${stage.origin.port}/`, stage.authority)).toBe(523);
    expect(await ask(`${stage.site}/`, 'forbidden.localhost')).toBe(200);
    const inside = await openTunnel(proxy, `forbidden.localhost:${stage.origin.port}`);
    expect((await inside.ask(`GET / HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`)).status).toBe(523);
    inside.socket.destroy();
    await proxy.close();
  });

  const spellings = (port: number): readonly (readonly [string, string])[] => [
    ['mixed case', `http://ShOp.LocalHost:${port}/`],
    ['a trailing dot', `http://shop.localhost.:${port}/`],
    ['an encoded letter', `http://sh%6fp.localhost:${port}/`],
    ['an upper-case scheme', `HTTP://shop.localhost:${port}/`],
    ['full-width letters', `http://%EF%BD%93hop.localhost:${port}/`],
  ];

  it('robustness B04 B06 makes one key of every spelling of a name', async () => {
    for (const [what, url] of spellings(stage.origin.port)) {
      const client = await line(stage.proxy.port);
      const answer = await client.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
      expect([what, answer.status]).toEqual([what, 200]);
      expect([what, stage.proxy.receipts.at(-1)?.website]).toEqual([what, 'shop.localhost']);
      expect(hostSent()).toBe(`Host: ${stage.authority}`);
    }
  });

  it('robustness B04 makes one key of a name in CONNECT', async () => {
    for (const name of ['SHOP.localhost', 'shop.localhost.', 'sh%6fp.localhost']) {
      const inside = await openTunnel(stage.proxy, `${name}:${stage.origin.port}`);
      expect((await inside.ask('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(200);
      expect(stage.proxy.receipts.at(-1)?.website).toBe('shop.localhost');
      inside.socket.destroy();
    }
  });

  it('robustness B04 turns an encoded international name into its ASCII form', async () => {
    for (const name of [
      'b%C3%BCcher.localhost',
      'xn--bcher-kva.localhost',
      'B%c3%9cCHER.localhost',
      'bu%CC%88cher.localhost',
    ]) {
      const client = await line(stage.proxy.port);
      const answer = await client.ask(`GET http://${name}:${stage.origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
      expect([name, answer.status]).toEqual([name, 200]);
      expect(hostSent()).toBe(`Host: xn--bcher-kva.localhost:${stage.origin.port}`);
    }
  });

  it('robustness B04 refuses raw bytes over 127 in the host of a request line', async () => {
    const text = `GET http://b\xc3\xbccher.localhost:${stage.origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`;
    expect(statusesIn(await everything(stage.proxy.port, text))).toEqual([400]);
  });

  it('robustness B04 paces every spelling as one website', async () => {
    const proxy = await startProxy('pacing: { siteDelay: 60ms, slaveDelay: 0ms }');
    const spelled = ['shop.localhost', 'SHOP.LOCALHOST', 'shop.localhost.', 'sh%6Fp.localhost'];
    const clients = await Promise.all(spelled.map(() => line(proxy.port)));
    // All in one turn, so that they arrive at the same moment.
    const answers = spelled.map((name, i) =>
      clients[i]?.ask(`GET http://${name}:${stage.origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`),
    );
    for (const answer of answers) expect((await answer)?.status).toBe(200);
    const grants = proxy.receipts.map(({ job, waitedMs }) => (job?.startedAt ?? 0) + waitedMs).sort((a, b) => a - b);
    expect(grants).toHaveLength(spelled.length);
    for (let i = 1; i < grants.length; i++)
      expect((grants[i] as number) - (grants[i - 1] as number)).toBeGreaterThanOrEqual(60 - 10);
    await proxy.close();
  });

  it('robustness B04 B05 reads IPv6 in brackets in any spelling and brackets it in Host', async () => {
    const origin = await makeOrigin({ host: '::1' });
    for (const name of ['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]']) {
      expect((await get(stage.proxy, `http://${name}:${origin.port}/`)).status).toBe(200);
      expect(fieldsOf(origin.requests.at(-1)?.head)[0]).toBe(`Host: [::1]:${origin.port}`);
      expect(stage.proxy.receipts.at(-1)?.website).toBe('::1');
    }
    const inside = await openTunnel(stage.proxy, `[::1]:${origin.port}`);
    expect((await inside.ask('GET / HTTP/1.1\r\n\r\n')).status).toBe(200);
    expect(fieldsOf(origin.requests.at(-1)?.head)[0]).toBe(`Host: [::1]:${origin.port}`);
    inside.socket.destroy();
    await origin.close();
  });

  it("robustness B05 brackets it in an upstream's CONNECT and request line", async () => {
    const upstream = await makeUpstream({ kind: 'http' });
    upstream.misbehaviour = { cut: 'close' };
    const proxy: RunningProxy = await startProxy('limits: { retries: 0 }', [`http://127.0.0.1:${upstream.port}`]);
    await get(proxy, 'https://[::1]:4430/');
    await get(proxy, 'http://[::1]:8081/x');
    expect(upstream.seen[0]).toMatch(/^CONNECT \[::1\]:4430 HTTP\/1\.1\r\nHost: \[::1\]:4430\r\n/);
    expect(upstream.seen[1]).toMatch(/^GET http:\/\/\[::1\]:8081\/x HTTP\/1\.1\r\nHost: \[::1\]:8081\r\n/);
    await proxy.close();
    await upstream.close();
  });

  it('robustness B06 compares the scheme without case and refuses any other', async () => {
    expect((await get(stage.proxy, `hTTp://${stage.authority}/`)).status).toBe(200);
    for (const url of ['htp://x/', 'httpss://x/', 'javascript://x/', 'wss://x/', 'FTP://x/']) {
      const answer = await get(stage.proxy, url);
      expect([url, answer.status, answer.header('X-Crawlera-Error')]).toEqual([url, 400, 'bad_uri']);
    }
  });

  it.each([
    'http://',
    'http:///x',
    'http://:80/',
    'http://a:b:c/',
    'http://[::1/',
    'http://a..b/',
    'http://a:99999/',
    'http://%00/',
  ])('E-04 refuses %s: it names no host', async (url) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(400);
    expect(answer.header('X-Crawlera-Error')).toMatch(/^(bad_uri|invalid_request)$/);
  });
});
