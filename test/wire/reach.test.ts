/** What can be reached through the proxy, over real sockets: private places, ports, our own listeners, loops (robustness D). */
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isPrivateAddress } from '../../src/policy/addresses.ts';
import { type Answer, AUTH, basic, call, get, openLine, openTunnel } from '../support/client.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { type Listening, listen } from '../support/sockets.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

/** As shipped: nothing private is allowed. */
const STRICT = 'targets: { ports: [80, 443, 1024-65535] }\n';
const OPEN = 'targets: { allowPrivate: ["0.0.0.0/0", "::/0", localhost, "*.localhost"], ports: [1-65535] }\n';

/** A server that nobody should come to. */
const trap = async (host: string): Promise<Listening> => kit.closing(await listen(createServer(), host));

const expectForbidden = (answer: Answer, what?: string): void => {
  expect([answer.status, answer.reason, answer.header('X-Crawlera-Error')], what).toEqual([
    523,
    'Domain Forbidden',
    'domain_forbidden',
  ]);
  expect(answer.body).toBe('Domain forbidden. Please contact admin@example.org');
  expect(answer.header('Retry-After')).toBeUndefined();
};

/** The same place asked for in every way there is. */
const everyWay = async (proxy: RunningProxy, authority: string): Promise<Answer[]> => {
  const line = await openTunnel(proxy, authority);
  const inside = await line.ask(`GET /in HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  line.socket.destroy();
  return [
    await get(proxy, `http://${authority}/plain`),
    await get(proxy, `https://${authority}/tls`),
    inside,
    await call(proxy, 'GET', `/fetch?url=${encodeURIComponent(`http://${authority}/`)}`),
  ];
};

describe('addresses that are no website', () => {
  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.1.1',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '192.0.0.1',
    '198.18.0.1',
    '240.0.0.1',
    '[::1]',
    '[::]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[fc00::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:a00:1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[2001::1]',
    '[ff02::1]',
  ])('robustness D01 %s is answered 523, nothing is dialled', async (host) => {
    const server = await trap('127.0.0.1');
    const proxy = await kit.proxy(STRICT);
    for (const answer of await everyWay(proxy, `${host}:${server.port}`)) expectForbidden(answer);
    expect(server.accepted()).toBe(0);
    for (const { attempts } of proxy.receipts) expect(attempts).toEqual([]);
  });

  it.each([
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '127.0.0.1.',
    '0177.0.0.1',
    '127.0.1',
    '0',
    '%31%32%37.1',
  ])('robustness D02 nor in the spelling %s', async (host) => {
    const server = await trap('127.0.0.1');
    const proxy = await kit.proxy(STRICT);
    for (const answer of await everyWay(proxy, `${host}:${server.port}`)) expectForbidden(answer, host);
    expect(server.accepted()).toBe(0);
  });

  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'any.localhost',
    'metadata.google.internal',
    'box.internal',
    'internal',
  ])('robustness D04 nor %s, also in front of an upstream proxy that would resolve it', async (host) => {
    const upstream = await kit.upstream();
    const proxy = await kit.proxy(STRICT, [upstream]);
    for (const answer of await everyWay(proxy, `${host}:8080`)) expectForbidden(answer);
    expect(upstream.accepted()).toBe(0);
  });

  it.each(['10.0.0.1', '[fd00:ec2::254]', '169.254.169.254', '2130706433'])(
    'robustness D04 nor the literal %s in front of an upstream',
    async (host) => {
      const upstream = await kit.upstream({ kind: 'socks5' });
      const proxy = await kit.proxy(STRICT, [upstream]);
      for (const answer of await everyWay(proxy, `${host}:8080`)) expectForbidden(answer);
      expect(upstream.accepted()).toBe(0);
    },
  );

  it('robustness D01 allows what the configuration names, and only that', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy('targets: { allowPrivate: [127.0.0.0/8] }\n');
    expect((await get(proxy, `http://127.0.0.1:${origin.port}/`)).status).toBe(200);
    expect((await get(proxy, `http://shop.localhost:${origin.port}/`)).status).toBe(200);
    expectForbidden(await get(proxy, `http://10.0.0.1:${origin.port}/`));
    expectForbidden(await get(proxy, `http://[::1]:${origin.port}/`));
    const named = await kit.proxy('targets: { allowPrivate: [shop.localhost] }\n');
    expect((await get(named, `http://shop.localhost:${origin.port}/`)).status).toBe(200);
    expectForbidden(await get(named, `http://other.localhost:${origin.port}/`));
    expectForbidden(await get(named, `http://127.0.0.1:${origin.port}/`));
  });

  it('robustness D03 judges the address a name resolves to, and dials no other', async () => {
    // The machine's own name resolves to a private address nearly everywhere.
    const found = await lookup(hostname(), { all: true }).catch(() => []);
    const usable = found.length > 0 && found.every(({ address }) => isPrivateAddress(address));
    const name = usable ? hostname() : 'shop.localhost';
    const server = await trap('0.0.0.0');
    const proxy = await kit.proxy(STRICT);
    const answer = await get(proxy, `http://${name}:${server.port}/`);
    expectForbidden(answer);
    expect(server.accepted()).toBe(0);
  });

  it('robustness D10 judges the real destination: a Host of an allowed place helps nobody, nor does a forbidden one harm', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(
      'targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535] }\nwebsites: { evil.localhost: { forbidden: true } }\n',
    );
    const ask = async (url: string, host: string): Promise<Answer> => {
      const line = await openLine(proxy.port);
      const answer = await line.ask(`GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${AUTH}\r\n`);
      line.socket.destroy();
      return answer;
    };
    expectForbidden(await ask(`http://evil.localhost:${origin.port}/`, 'shop.localhost'));
    expectForbidden(await ask('http://10.0.0.1/', 'shop.localhost'));
    expect((await ask(`http://shop.localhost:${origin.port}/`, 'evil.localhost')).status).toBe(200);
    expect(origin.requests[0]?.head).toContain(`Host: shop.localhost:${origin.port}\r\n`);
    const line = await openTunnel(proxy, `evil.localhost:${origin.port}`);
    expectForbidden(await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n'));
    line.socket.destroy();
    expect(origin.requests).toHaveLength(1);
  });
});

describe('ports', () => {
  it.each([22, 25, 1023, 79, 6, 0])(
    'robustness D07 port %d is answered 523, inside a tunnel too (T-06)',
    async (port) => {
      const proxy = await kit.proxy('targets: { allowPrivate: [127.0.0.0/8] }\n');
      for (const answer of await everyWay(proxy, `shop.localhost:${port}`)) expectForbidden(answer);
    },
  );

  it.each([80, 443, 1024, 65535])('robustness D07 port %d is not', async (port) => {
    const upstream = await kit.upstream();
    upstream.misbehaviour = { reply: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' };
    const proxy = await kit.proxy('targets: { allowPrivate: [127.0.0.0/8] }\n', [upstream]);
    expect((await get(proxy, `http://shop.localhost:${port}/`)).status).toBe(200);
  });
});

describe('our own listeners (robustness D05)', () => {
  const hostsOf = (proxy: RunningProxy, port: number): string[] =>
    [
      '127.0.0.1',
      '127.9.8.7',
      '127.1',
      '0.0.0.0',
      '[::]',
      '[::1]',
      '[::ffff:127.0.0.1]',
      'localhost',
      'LocalHost.',
      'any.localhost',
      '2130706433',
    ].map((host) => `${host}:${port === 0 ? proxy.port : port}`);

  it('robustness D05 the admin port is out of reach by every local name, everything private allowed or not', async () => {
    const admin = await trap('127.0.0.1');
    for (const targets of [STRICT, OPEN]) {
      const proxy = await kit.proxy(`admin: { port: ${admin.port} }\n${targets}`);
      for (const authority of hostsOf(proxy, admin.port))
        for (const answer of await everyWay(proxy, authority)) expectForbidden(answer, authority);
    }
    expect(admin.accepted()).toBe(0);
  });

  it.each(['localhost', '127.0.0.1', '[::1]'])(
    'robustness D05 the port of a Redis on this machine is, configured as %s',
    async (name) => {
      const redis = await trap('127.0.0.1');
      const proxy = await kit.proxy(`store: "redis://:secret@${name}:${redis.port}/0"\n${OPEN}`);
      for (const authority of hostsOf(proxy, redis.port))
        expectForbidden(await get(proxy, `http://${authority}/`), authority);
      for (const { attempts } of proxy.receipts) expect(attempts).toEqual([]);
    },
  );

  it('robustness D05 T-14 the proxy port is a direct endpoint or forbidden, never dialled', async () => {
    const proxy = await kit.proxy(OPEN);
    for (const authority of hostsOf(proxy, 0)) {
      const answer = await get(proxy, `http://${authority}/nothing`);
      expect([404, 523], authority).toContain(answer.status);
    }
    for (const { attempts } of proxy.receipts) expect(attempts).toEqual([]);
  });

  it('robustness D05 follows the configuration: a new admin port is out of reach from the reload on', async () => {
    const server = await kit.origin();
    const proxy = await kit.proxy(OPEN);
    expect((await get(proxy, `http://localhost:${server.port}/`)).status).toBe(200);
    proxy.reload(`${OPEN}admin: { port: ${server.port} }\n`);
    expectForbidden(await get(proxy, `http://localhost:${server.port}/`));
    expect(server.requests).toHaveLength(1);
  });

  it('T-14 a name given in listen.names is this proxy, from the reload on', async () => {
    const proxy = await kit.proxy(OPEN);
    const url = `http://crawl.localhost:${proxy.port}/sessions`;
    expectForbidden(await get(proxy, url));
    proxy.reload(`${OPEN}listen: { names: [crawl.localhost] }\n`);
    expect((await get(proxy, url)).body).toBe('{}');
  });
});

describe('loops', () => {
  it('T-14 robustness D06 a tunnel to the proxy itself ends at its own endpoints', async () => {
    const proxy = await kit.proxy(OPEN);
    const line = await openTunnel(proxy, `127.0.0.1:${proxy.port}`);
    const own = `Host: 127.0.0.1:${proxy.port}\r\n`;
    expect((await line.ask(`GET /sessions HTTP/1.1\r\n${own}\r\n`)).body).toBe('{}');
    // No tunnel leads into another one.
    const nested = await line.ask(`CONNECT 127.0.0.1:${proxy.port} HTTP/1.1\r\n${own}\r\n`);
    expect([nested.status, nested.header('X-Crawlera-Error')]).toEqual([400, 'invalid_request']);
    line.socket.destroy();
  });

  it("robustness D06 a second instance as upstream, without a key, ends at its 407 and is not shown as the target's error", async () => {
    const inner = await kit.proxy();
    const outer = await kit.proxy(`upstreams: [{ url: "http://127.0.0.1:${inner.port}" }]\n`);
    const answer = await get(outer, 'http://shop.localhost:9/');
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([503, 'noslaves']);
    expect(answer.raw).not.toMatch(/via|proxy-authenticate/i);
    expect(inner.receipts.every(({ outcome }) => outcome === 'bad_auth')).toBe(true);
  });

  it('robustness D06 with a key it works as a chain: one request at the target, nothing that names a proxy', async () => {
    const origin = await kit.origin();
    const inner = await kit.proxy();
    const outer = await kit.proxy(`upstreams: [{ url: "http://${KEY}:@127.0.0.1:${inner.port}" }]\n`);
    const answer = await get(outer, `http://shop.localhost:${origin.port}/`, 'X-Crawlera-UA: pass\r\n');
    expect([answer.status, answer.body]).toEqual([200, 'hello']);
    expect(answer.raw.match(/X-Crawlera-Version/g)).toHaveLength(1);
    expect(origin.requests).toHaveLength(1);
    expect(origin.received()).not.toMatch(/via|forwarded|crawlera|proxy/i);
  });

  it('robustness D06 an upstream that is the proxy itself ends, and leaves no connection behind', async () => {
    const proxy = await kit.proxy();
    proxy.reload(
      `upstreams: [{ url: "http://${KEY}:@127.0.0.1:${proxy.port}" }]\nlimits: { outstanding: 20 }\naccounts: [{ id: test, key: ${KEY}, maxConnections: 10 }]\n`,
    );
    const answer = await get(proxy, 'http://shop.localhost:9/');
    expect(answer.status).toBeGreaterThanOrEqual(429);
    expect(proxy.receipts.length).toBeLessThanOrEqual(200);
  });
});

describe('redirects', () => {
  it.each([301, 302, 303, 307, 308])('T-15 robustness D08 %d is handed to the client, not followed', async (status) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const site = `http://shop.localhost:${origin.port}`;
    const location = `http://10.0.0.1/secret`;
    origin.fallback = [`HTTP/1.1 ${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`];
    const answers = [
      await get(proxy, `${site}/`),
      await call(proxy, 'GET', `/fetch?url=${encodeURIComponent(`${site}/`)}`),
    ];
    for (const answer of answers) expect([answer.status, answer.header('Location')]).toEqual([status, location]);
    expect(origin.requests).toHaveLength(2);
  });
});

it('robustness D05 a key-less stranger learns nothing of what is reachable', async () => {
  const proxy = await kit.proxy(STRICT);
  const line = await openLine(proxy.port);
  onTestFinished(() => void line.socket.destroy());
  const raw = async (url: string): Promise<string> =>
    (await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic('wrong')}\r\n\r\n`)).raw;
  expect(await raw('http://10.0.0.1/')).toBe(await raw('http://shop.example/'));
});
