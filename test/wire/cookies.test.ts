/** Cookie jars over real sockets (section 10, H-21). */
import { describe, expect, it } from 'vitest';
import { makeLogLedger } from '../../src/observe/ledger.ts';
import type { Clock } from '../../src/pipeline/ports.ts';
import { realClock } from '../../src/store/clock.ts';
import { logToFile } from '../observe/support.ts';
import { type Answer, basic, call, get, openLine, openSecure } from '../support/client.ts';
import { type Origin, reply, type SeenRequest } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { labelOf, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const setting = (...cookies: readonly string[]): string =>
  reply('hello', cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join(''));

const modeOf = (mode: string): string => `X-Crawlera-Cookies: ${mode}\r\n`;
const inSession = (id: string): string => `X-Crawlera-Session: ${id}\r\n`;
const BAN = 'HTTP/1.1 429 No\r\nContent-Length: 0\r\n';

/** Something that a target waits for. */
const makeGate = (): { readonly opened: Promise<void>; open(): void } => {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
};

/** Values of the `Cookie` lines of a request as the target saw it. */
const cookiesIn = ({ head }: SeenRequest): string[] =>
  [...head.matchAll(/\r\ncookie: ?([^\r]*)/gi)].map(([, value]) => value as string);

/** What the last request carried; `undefined` = no `Cookie`. */
const lastIn = ({ requests }: Origin): string | undefined => {
  const all = cookiesIn(requests.at(-1) as SeenRequest);
  expect(all.length).toBeLessThanOrEqual(1);
  return all[0];
};

const roots = (): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`;

interface Stage {
  readonly proxy: RunningProxy;
  readonly origin: Origin;
  /** A request for `path` of the host; the target answers with these cookies. */
  ask(path?: string, more?: string, sets?: readonly string[]): Promise<Answer>;
  last(): string | undefined;
}

const stage = async (scheme: 'http' | 'https', yaml = ''): Promise<Stage> => {
  const secure = scheme === 'https';
  const origin = secure ? await kit.secureOrigin(['shop.localhost']) : await kit.origin();
  const proxy = await kit.proxy(yaml + (secure ? roots() : ''));
  const authority = `shop.localhost:${origin.port}`;
  const line = secure ? await openSecure(proxy, authority) : undefined;
  return {
    proxy,
    origin,
    last: () => lastIn(origin),
    ask: (path = '/', more = '', sets = []) => {
      if (sets.length > 0) origin.enqueue(setting(...sets));
      if (line) return line.ask(`GET ${path} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`);
      return get(proxy, `http://${authority}${path}`, more);
    },
  };
};

describe.each(['http', 'https'] as const)('over %s', (scheme) => {
  it("K-01 K-05 keeps the target's cookies and sends them in place of the client's", async () => {
    const { ask, last } = await stage(scheme);
    await ask('/', 'Cookie: mine=1\r\n', [
      'a=1; Path=/',
      'b=2; Path=/deep',
      'c=3; Max-Age=0',
      'd=4; Domain=other.localhost',
    ]);
    expect(last()).toBeUndefined();
    await ask('/', 'Cookie: mine=1\r\n');
    expect(last()).toBe('a=1');
    await ask('/deep/er?x=1', '', ['a=; Path=/; Max-Age=0', 'b=5; Path=/deep']);
    expect(last()).toBe('b=2; a=1');
    await ask('/deep/er');
    expect(last()).toBe('b=5');
    await ask('/', modeOf('enable'));
    expect(last()).toBeUndefined();
  });

  it('K-01 stands where the client had its own, spelled alike, and once; else at the end', async () => {
    const { ask, origin } = await stage(scheme);
    await ask('/', '', ['a=1']);
    await ask('/', 'X-Crawlera-UA: pass\r\nX-A: 1\r\ncookie: mine=1\r\nX-B: 2\r\nCookie: mine=2\r\nX-C: 3\r\n');
    expect(origin.requests.at(-1)?.head).toMatch(/\r\nX-A: 1\r\ncookie: a=1\r\nX-B: 2\r\nX-C: 3\r\n\r\n$/);
    await ask('/', 'X-Crawlera-UA: pass\r\nX-A: 1\r\n');
    expect(origin.requests.at(-1)?.head).toMatch(/\r\nX-A: 1\r\nCookie: a=1\r\n\r\n$/);
  });

  it("K-03 disable: the client's cookies pass as they are, nothing is added or kept", async () => {
    const { ask, origin, last } = await stage(scheme);
    await ask('/', '', ['a=1']);
    await ask('/', `${modeOf('disable')}cookie: x=1; y="2"\r\nCookie: z\r\n`, ['b=2']);
    expect(cookiesIn(origin.requests.at(-1) as SeenRequest)).toEqual(['x=1; y="2"', 'z']);
    await ask('/', modeOf('disable'));
    expect(last()).toBeUndefined();
    await ask();
    expect(last()).toBe('a=1');
  });

  it("H-21 discard: neither the client's nor the jar's are sent, none is kept", async () => {
    const { ask, last } = await stage(scheme);
    await ask('/', '', ['a=1']);
    await ask('/', `${modeOf('discard')}Cookie: mine=1\r\n`, ['a=2', 'b=2']);
    expect(last()).toBeUndefined();
    await ask();
    expect(last()).toBe('a=1');
  });

  it.each(['enable', 'disable', 'discard'])('K-04 %s: Set-Cookie passes to the client unchanged', async (mode) => {
    const { ask } = await stage(scheme);
    const sets = ['a=1; Path=/; SameSite=Lax', 'b=2; Domain=evil.example', 'a=\xe4; Max-Age=0'];
    const answer = await ask('/', modeOf(mode), sets);
    expect(answer.headers.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value)).toEqual(sets);
  });

  it('K-01 a redirect sets cookies for the request that follows it', async () => {
    const { ask, origin, last } = await stage(scheme);
    origin.enqueue('HTTP/1.1 302 Found\r\nLocation: /in\r\nSet-Cookie: sid=7; Path=/\r\nContent-Length: 0\r\n\r\n');
    const answer = await ask('/login');
    expect([answer.status, answer.header('Location')]).toEqual([302, '/in']);
    await ask('/in');
    expect(last()).toBe('sid=7');
  });
});

describe('modes from elsewhere', () => {
  it('H-06 the mode on CONNECT holds for the tunnel, unless a request in it says otherwise', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(roots());
    const authority = `shop.localhost:${origin.port}`;
    const more = `Proxy-Authorization: ${basic(KEY)}\r\n${modeOf('disable')}`;
    const line = await openSecure(proxy, authority, { more });
    const ask = async (lines: string): Promise<string | undefined> => {
      origin.enqueue(setting('a=1'));
      await line.ask(`GET / HTTP/1.1\r\nHost: ${authority}\r\nCookie: mine=1\r\n${lines}\r\n`);
      return lastIn(origin);
    };
    expect(await ask('')).toBe('mine=1');
    expect(await ask(modeOf('enable'))).toBeUndefined();
    expect(await ask(modeOf('enable'))).toBe('a=1');
    expect(await ask(modeOf('discard'))).toBeUndefined();
  });

  it("U-11 a session in the user name leaves cookies to the client, the account's defaults to the operator", async () => {
    const accounts = `accounts:\n  - { id: test, key: ${KEY}, defaults: { X-Crawlera-Cookies: discard } }\n`;
    const origin = await kit.origin();
    const ask = async (proxy: RunningProxy, user: string): Promise<string | undefined> => {
      const line = await openLine(proxy.port);
      const url = `http://shop.localhost:${origin.port}/`;
      await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\nCookie: mine=1\r\nProxy-Authorization: ${basic(user)}\r\n\r\n`);
      line.socket.destroy();
      return lastIn(origin);
    };
    expect(await ask(await kit.proxy(), `${KEY}-session-anna`)).toBe('mine=1');
    const strict = await kit.proxy(accounts);
    expect(await ask(strict, KEY)).toBeUndefined();
    expect(await ask(strict, `${KEY}-session-anna`)).toBeUndefined();
  });

  it('Q-02 /fetch uses the jar as any request does', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const path = `/fetch?url=${encodeURIComponent(`http://${authority}/`)}`;
    origin.enqueue(setting('a=1'));
    expect((await call(proxy, 'GET', path, 'Cookie: mine=1\r\n')).header('Set-Cookie')).toBe('a=1');
    await call(proxy, 'GET', path, 'Cookie: mine=1\r\n');
    expect(lastIn(origin)).toBe('a=1');
    await get(proxy, `http://${authority}/`);
    expect(lastIn(origin)).toBe('a=1');
  });
});

describe('whose jar', () => {
  it('K-05 and robustness H02 two accounts through one exit share nothing', async () => {
    const accounts = 'accounts:\n  - { id: one, key: key-of-one }\n  - { id: two, key: key-of-two }\n';
    const origin = await kit.origin();
    const proxy = await kit.proxy(accounts);
    const ask = async (key: string): Promise<string | undefined> => {
      const line = await openLine(proxy.port);
      const url = `http://shop.localhost:${origin.port}/`;
      await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(key)}\r\n\r\n`);
      line.socket.destroy();
      return lastIn(origin);
    };
    origin.fallback = [setting('a=1')];
    expect([await ask('key-of-one'), await ask('key-of-two')]).toEqual([undefined, undefined]);
    origin.fallback = [setting('a=2')];
    expect([await ask('key-of-one'), await ask('key-of-one'), await ask('key-of-two')]).toEqual(['a=1', 'a=2', 'a=1']);
  });

  const pool = async (count: number) => {
    const origin = await kit.origin();
    const ups = await kit.upstreams(count);
    const proxy = await kit.proxy('', ups);
    const url = `http://shop.localhost:${origin.port}/`;
    return { origin, ups, proxy, url };
  };

  it('K-05 A-01 every upstream has its own, retries through another one included', async () => {
    const { origin, proxy, url } = await pool(2);
    origin.enqueue(`${BAN}Set-Cookie: tried=first\r\n\r\n`);
    origin.enqueue(setting('tried=second'));
    const answer = await get(proxy, url);
    const [first, second] = proxy.receipts[0]?.attempts.map(({ exit }) => exit) ?? [];
    expect(answer.header('X-Crawlera-Slave')).toBe(second);
    expect(origin.requests.map(cookiesIn)).toEqual([[], []]);
    const byExit = new Map<string | undefined, string | undefined>();
    while (byExit.size < 2) {
      // Banned ones serve requests without ban check.
      const next = await get(proxy, url, 'X-Crawlera-No-Bancheck: 1\r\n');
      byExit.set(next.header('X-Crawlera-Slave'), lastIn(origin));
    }
    expect(byExit.get(first)).toBe('tried=first');
    expect(byExit.get(second)).toBe('tried=second');
  });

  it("K-05 a session's jar is its own: neither the upstream's nor another session's", async () => {
    const { origin, proxy, url } = await pool(1);
    origin.enqueue(setting('a=free'));
    await get(proxy, url);
    const open = async (): Promise<string> => (await call(proxy, 'POST', '/sessions')).body;
    const [one, two] = [await open(), await open()];
    for (const id of [one, two]) {
      origin.enqueue(setting(`a=${id}`));
      await get(proxy, url, inSession(id));
      expect(lastIn(origin)).toBeUndefined();
    }
    for (const [more, value] of [
      ['', 'free'],
      [inSession(one), one],
      [inSession(two), two],
    ] as const) {
      await get(proxy, url, more);
      expect(lastIn(origin)).toBe(`a=${value}`);
    }
  });

  it('K-05 S-12 the request that makes a session begins its jar, and takes no cookie of a ban on to another upstream', async () => {
    const { origin, proxy, url } = await pool(2);
    origin.enqueue(`${BAN}Set-Cookie: marked=1\r\n\r\n`);
    origin.enqueue(setting('a=1'));
    const id = (await get(proxy, url, inSession('create'))).header('X-Crawlera-Session') ?? '';
    expect(origin.requests.map(cookiesIn)).toEqual([[], []]);
    await get(proxy, url, inSession(id));
    expect(lastIn(origin)).toBe('a=1');
  });

  it('S-11 S-06 K-05 the jar ends with its session', async () => {
    const { origin, proxy, url } = await pool(1);
    const id = (await call(proxy, 'POST', '/sessions')).body;
    const gate = makeGate();
    origin.enqueue(setting('a=1'));
    await get(proxy, url, inSession(id));
    origin.enqueue({ until: gate.opened }, setting('b=2'));
    const running = get(proxy, url, inSession(id));
    await until(() => origin.requests.length === 2);
    expect(lastIn(origin)).toBe('a=1');
    expect((await call(proxy, 'DELETE', `/sessions/${id}`)).status).toBe(204);
    gate.open();
    expect((await running).header('Set-Cookie')).toBe('b=2');
    await get(proxy, url);
    expect(lastIn(origin)).toBeUndefined();
    expect((await get(proxy, url, inSession(id))).status).toBe(400);
  });

  it('K-05 two responses of one session that end together lose nothing', async () => {
    const { origin, proxy, url } = await pool(1);
    const id = (await call(proxy, 'POST', '/sessions')).body;
    const gate = makeGate();
    for (let n = 0; n < 10; n++) origin.enqueue({ until: gate.opened }, setting(`c${n}=1`, 'last=1'));
    const running = Array.from({ length: 10 }, () => get(proxy, url, inSession(id)));
    await until(() => origin.requests.length === 10);
    gate.open();
    await Promise.all(running);
    await get(proxy, url, inSession(id));
    const names = (lastIn(origin) ?? '').split('; ').sort();
    expect(names).toEqual([...Array.from({ length: 10 }, (_, n) => `c${n}=1`), 'last=1']);
  });

  it('A-13 a rotating upstream has no jar outside sessions, and one inside', async () => {
    const origin = await kit.origin();
    const up = await kit.upstream();
    const proxy = await kit.proxy(`upstreams:\n  - { url: "http://${labelOf(up)}", rotating: true }\n`);
    const url = `http://shop.localhost:${origin.port}/`;
    origin.fallback = [setting('a=1')];
    for (let n = 0; n < 2; n++) {
      await get(proxy, url, 'Cookie: mine=1\r\n');
      expect(lastIn(origin)).toBeUndefined();
    }
    await get(proxy, url, `Cookie: mine=1\r\n${modeOf('disable')}`);
    expect(lastIn(origin)).toBe('mine=1');
    const id = (await get(proxy, url, inSession('create'))).header('X-Crawlera-Session') ?? '';
    expect(lastIn(origin)).toBeUndefined();
    await get(proxy, url, inSession(id));
    expect(lastIn(origin)).toBe('a=1');
  });
});

describe('which site and for how long', () => {
  it('K-05 a secure cookie stays off http, other cookies go to both, and names below have those of their domain', async () => {
    const secure = await kit.secureOrigin(['shop.localhost', 'www.shop.localhost']);
    const plain = await kit.origin();
    const proxy = await kit.proxy(roots());
    const line = await openSecure(proxy, `www.shop.localhost:${secure.port}`);
    secure.enqueue(
      setting('s=1; Secure; Domain=shop.localhost', 'd=1; Domain=shop.localhost', 'h=1', '__Host-x=1; Secure'),
    );
    await line.ask(`GET / HTTP/1.1\r\nHost: www.shop.localhost:${secure.port}\r\n\r\n`);
    await get(proxy, `http://shop.localhost:${plain.port}/`);
    expect(lastIn(plain)).toBe('d=1');
    await get(proxy, `http://www.shop.localhost:${plain.port}/`);
    expect(lastIn(plain)).toBe('d=1; h=1');
    await get(proxy, `http://eshop.localhost:${plain.port}/`);
    expect(lastIn(plain)).toBeUndefined();
    const other = await openSecure(proxy, `shop.localhost:${secure.port}`);
    await other.ask(`GET / HTTP/1.1\r\nHost: shop.localhost:${secure.port}\r\n\r\n`);
    expect(lastIn(secure)).toBe('s=1; d=1');
  });

  it.each(['127.0.0.1', 'localhost'])('K-05 works for %s', async (host) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    origin.enqueue(setting('a=1'));
    await get(proxy, `http://${host}:${origin.port}/`);
    await get(proxy, `http://${host}:${origin.port}/`);
    expect(lastIn(origin)).toBe('a=1');
  });

  it('K-02 a jar is forgotten so long after its last use, K-05 a session keeps its own', async () => {
    let aheadMs = 0;
    const clock: Clock = { now: () => realClock.now() + aheadMs, after: realClock.after };
    const origin = await kit.origin();
    const proxy = kit.closing(await startProxy('cookies: { idle: 15m }\n', [], clock));
    const url = `http://shop.localhost:${origin.port}/`;
    const id = (await call(proxy, 'POST', '/sessions')).body;
    const sent = async (more = ''): Promise<string | undefined> => {
      await get(proxy, url, more);
      return lastIn(origin);
    };
    origin.enqueue(setting('a=1'));
    await sent();
    origin.enqueue(setting('b=1', 'c=1; Max-Age=1700'));
    await sent(inSession(id));
    for (let n = 0; n < 2; n++) {
      aheadMs += 890_000;
      expect(await sent()).toBe('a=1');
    }
    expect(await sent(inSession(id))).toBe('b=1');
    aheadMs += 900_000;
    expect(await sent()).toBeUndefined();
    expect(await sent(inSession(id))).toBe('b=1');
    expect(proxy.bugs).toEqual([]);
  });
});

describe('secrets', () => {
  it('robustness C01 C09 no cookie is in the log, nor does a kept one come out of an answer of ours', async () => {
    const { ask, proxy, origin, last } = await stage('http');
    const canary = 'canary-in-a-jar';
    const more = `Cookie: mine=${canary}\r\nX-Crawlera-Max-Retries: 0\r\n`;
    await ask('/', more, [`a=${canary}`, `${canary}=1; Domain=nowhere.example`]);
    origin.fallback = ['NONSENSE\r\n\r\n'];
    const answer = await ask('/', more);
    expect(last()).toBe(`a=${canary}`);
    expect(answer.status).toBe(502);
    expect(answer.raw).not.toContain(canary);
    const { log, text } = logToFile({ level: 'trace' });
    for (const receipt of proxy.receipts) makeLogLedger(log).finished(receipt);
    expect(proxy.receipts).toHaveLength(2);
    expect(text() + proxy.said.join()).not.toContain(canary);
    expect(text()).toContain('shop.localhost');
  });
});
