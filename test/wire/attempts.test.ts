/** Section 9 over real sockets: how often a request is tried, through whom, and what is told when all of it was in vain. */
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/pipeline/ports.ts';
import { get } from '../support/client.ts';
import { type Act, reply } from '../support/origin.ts';
import type { RunningProxy } from '../support/proxy.ts';
import type { TestUpstream } from '../support/upstream.ts';
import { expectRefusal, freePort, labelOf, makeWireKit, QUICK, rawServer } from './errors-kit.ts';

const kit = makeWireKit();

const BAN = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nno!!';
const retries = (count: number): string => `X-Crawlera-Max-Retries: ${count}\r\n`;

const NOT_YOU = 'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n';

/** Something to do at the moment a request is with the target. */
const whenAsked = (fn: () => void): Act => ({
  get until() {
    fn();
    return Promise.resolve();
  },
});

const exitsOf = (receipt: Receipt | undefined): string[] => receipt?.attempts.map((one) => one.exit) ?? [];
const outcomesOf = (receipt: Receipt | undefined): string[] => receipt?.attempts.map((one) => one.outcome) ?? [];

/** Upstreams in front of a target that does this, request by request; the last script stays. */
const scene = async (count: number, scripts: readonly (readonly Act[])[], yaml = '') => {
  const origin = await kit.origin();
  for (const script of scripts.slice(0, -1)) origin.enqueue(...script);
  origin.fallback = scripts.at(-1) ?? [reply('hello')];
  const ups = await kit.upstreams(count);
  const proxy = await kit.proxy(yaml, ups);
  return { origin, ups, proxy, url: `http://shop.localhost:${origin.port}/` };
};

describe('how often', () => {
  it.each([
    ['without a word', '', 6],
    ['Max-Retries 5', retries(5), 6],
    ['Max-Retries 2', retries(2), 3],
    ['Max-Retries 0', retries(0), 1],
  ])('A-01 H-17 robustness H06 %s: so many attempts, each through another upstream', async (_what, header, count) => {
    const { ups, proxy, url, origin } = await scene(8, [[BAN]]);
    expectRefusal(await get(proxy, url, header), 'slavebanned');
    const exits = exitsOf(proxy.receipts[0]);
    expect(exits).toHaveLength(count);
    expect(new Set(exits).size).toBe(count);
    expect(ups.filter((up) => up.seen.length === 1)).toHaveLength(count);
    expect(origin.requests).toHaveLength(count);
  });

  it('A-01 the configured number of retries holds where a client asks for none or for more', async () => {
    const { proxy, url } = await scene(4, [[BAN]], 'limits: { retries: 1 }\n');
    await get(proxy, url);
    await get(proxy, `http://b.localhost:${new URL(url).port}/`, retries(5));
    expect(proxy.receipts.map((one) => one.attempts.length)).toEqual([2, 2]);
  });

  it('A-01 a ban is not tried again through an upstream already used', async () => {
    const { proxy, url, ups } = await scene(3, [[BAN]]);
    expectRefusal(await get(proxy, url), 'slavebanned');
    expect(new Set(exitsOf(proxy.receipts[0]))).toEqual(new Set(ups.map(labelOf)));
    expect(proxy.receipts[0]?.attempts).toHaveLength(3);
  });

  it('A-01 A-02 a connection failure is, once all were used', async () => {
    const { proxy, url, ups } = await scene(2, [['close']]);
    expectRefusal(await get(proxy, url), 'socket_closed_remotely');
    expect(outcomesOf(proxy.receipts[0])).toEqual(Array(6).fill('socket_closed_remotely'));
    expect(new Set(exitsOf(proxy.receipts[0]).slice(0, 2))).toEqual(new Set(ups.map(labelOf)));
  });

  it('A-01 robustness H06 the attempts can be read in a debug header, and only the last one is delivered', async () => {
    const { proxy, url } = await scene(3, [[BAN], ['close'], [reply('at last')]]);
    const answer = await get(proxy, url, 'X-Crawlera-Debug: attempts\r\n');
    expect(answer).toMatchObject({ status: 200, body: 'at last' });
    const [one, two, three] = exitsOf(proxy.receipts[0]);
    const attempts = `${one}=status-429, ${two}=socket_closed_remotely, ${three}=fine`;
    expect(answer.header('X-Crawlera-Debug-Attempts')).toBe(attempts);
    expect(answer.header('X-Crawlera-Slave')).toBe(three);
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok', status: 200, bytes: 7 }]);
  });

  it.each([
    ['timeout', ['hang']],
    ['send_failed', ['no http\r\n']],
  ] as const)('A-02 %s is not tried elsewhere', async (condition, acts) => {
    const { proxy, url, ups } = await scene(2, [acts], QUICK);
    expectRefusal(await get(proxy, url, 'X-Crawlera-Timeout: 250\r\n'), condition);
    expect(ups.map((up) => up.seen.length).sort()).toEqual([0, 1]);
  });

  it('G-01 A-01 every attempt is dressed anew and sent whole', async () => {
    const { proxy, url, origin } = await scene(6, [[BAN]]);
    await get(proxy, url, 'X-Custom: kept\r\nX-Crawlera-JobId: 7\r\n');
    const heads = origin.requests.map((one) => one.head);
    expect(heads).toHaveLength(6);
    for (const head of heads) {
      expect(head).toContain('X-Custom: kept');
      expect(head).not.toMatch(/crawlera|proxy-auth/i);
    }
    expect(new Set(heads.map((head) => /User-Agent: .*/.exec(head)?.[0])).size).toBeGreaterThan(1);
  });
});

describe('what is told at the end', () => {
  it('A-03 a ban outranks what came after it', async () => {
    const { proxy, url } = await scene(3, [[BAN], ['close']]);
    const answer = await get(proxy, url, retries(1));
    expectRefusal(answer, 'slavebanned');
    expect(outcomesOf(proxy.receipts[0])).toEqual(['status-429', 'socket_closed_remotely']);
    expect(answer.header('X-Crawlera-Slave')).toBe(exitsOf(proxy.receipts[0])[1]);
  });

  it('A-03 and what is never tried again', async () => {
    const { proxy, url } = await scene(2, [[BAN], ['hang']], QUICK);
    expectRefusal(await get(proxy, url, 'X-Crawlera-Timeout: 250\r\n'), 'slavebanned');
    expect(outcomesOf(proxy.receipts[0])).toEqual(['status-429', 'timeout']);
  });

  it('A-03 and upstreams that fail', async () => {
    const { proxy, url, ups, origin } = await scene(2, []);
    const breakUnused = (): void => {
      for (const up of ups) if (up.seen.length === 0) up.misbehaviour = { reply: NOT_YOU };
    };
    origin.fallback = [whenAsked(breakUnused), BAN];
    expectRefusal(await get(proxy, url), 'slavebanned');
    expect(outcomesOf(proxy.receipts[0])).toEqual(['status-429', 'noslaves']);
  });

  it('A-04 failures of upstreams beside one of the target tell of the target', async () => {
    const { proxy, url, ups, origin } = await scene(2, []);
    const breakUnused = (): void => {
      for (const up of ups) if (up.seen.length === 0) up.misbehaviour = { reply: NOT_YOU };
    };
    origin.fallback = [whenAsked(breakUnused), 'close'];
    expectRefusal(await get(proxy, url, retries(1)), 'socket_closed_remotely');
    expect(outcomesOf(proxy.receipts[0])).toEqual(['socket_closed_remotely', 'noslaves']);
  });

  it('A-03 otherwise the last failure', async () => {
    const { proxy, url } = await scene(3, [['close'], ['no http\r\n']]);
    expectRefusal(await get(proxy, url), 'send_failed');
    expect(outcomesOf(proxy.receipts[0])).toEqual(['socket_closed_remotely', 'send_failed']);
  });
});

/** Ways for an upstream to fail; each gives its URL. */
const FAILURES: readonly (readonly [how: string, make: () => Promise<string>])[] = [
  ['its name does not resolve', async () => 'http://no-such-upstream.invalid:3128'],
  ['it refuses the connection', async () => `http://127.0.0.1:${await freePort()}`],
  ['it wants another password', async () => `http://jo:wrong@${labelOf(await locked('http'))}`],
  ['SOCKS wants another password', async () => `socks5://jo:wrong@${labelOf(await locked('socks5'))}`],
  ['SOCKS does not greet in time', async () => `socks5://127.0.0.1:${await silentPort()}`],
  ['TLS does not come about in time', async () => `https://127.0.0.1:${await silentPort()}`],
  ['TLS is not what it speaks', async () => `https://${labelOf(await kit.upstream())}`],
];

const locked = (kind: 'http' | 'socks5'): Promise<TestUpstream> =>
  kit.upstream({ kind, username: 'jo', password: 'right' });

const silentPort = async (): Promise<number> => kit.closing(await rawServer((socket) => socket.resume())).port;

describe('an upstream that fails', () => {
  /** Asks for one website after the other until the first choice fell on `exit`; gives the receipt of that request. */
  const untilChosen = async (proxy: RunningProxy, exit: string, port: number): Promise<Receipt> => {
    for (let n = 0; n < 60; n++) {
      const answer = await get(proxy, `http://s${n}.localhost:${port}/`);
      expect(answer).toMatchObject({ status: 200, body: 'hello' });
      const receipt = proxy.receipts.at(-1);
      if (receipt && exitsOf(receipt)[0] === exit) return receipt;
    }
    throw new Error(`${exit} was never chosen`);
  };

  const pair = async (bad: string, yaml = '') => {
    const origin = await kit.origin();
    const good = await kit.upstream();
    const urls = [bad, `http://${labelOf(good)}`];
    const proxy = await kit.proxy(`${QUICK}${yaml}upstreams:\n${urls.map((url) => `  - url: ${url}\n`).join('')}`);
    return { origin, good, proxy, exit: bad.replace(/^.*[/@]/, '') };
  };

  it.each(FAILURES)('A-04 %s: the next one serves, and this one has its rest', async (_how, make) => {
    const { origin, good, proxy, exit } = await pair(await make());
    const receipt = await untilChosen(proxy, exit, origin.port);
    expect(outcomesOf(receipt)).toEqual(['noslaves', 'fine']);
    expect(exitsOf(receipt)).toEqual([exit, labelOf(good)]);
    expect(proxy.said.filter((line) => line.includes('is down'))).toHaveLength(1);
    proxy.receipts.length = 0;
    for (let n = 0; n < 12; n++) await get(proxy, `http://later${n}.localhost:${origin.port}/`);
    expect(new Set(proxy.receipts.flatMap(exitsOf))).toEqual(new Set([labelOf(good)]));
  });

  it('A-04 it is used again once its rest is over', async () => {
    const { origin, proxy, exit } = await pair(
      `http://127.0.0.1:${await freePort()}`,
      'bans: { upstreamDown: 30ms }\n',
    );
    await untilChosen(proxy, exit, origin.port);
    proxy.receipts.length = 0;
    await untilChosen(proxy, exit, origin.port);
    expect(proxy.said.filter((line) => line.includes('is down')).length).toBeGreaterThan(1);
  });

  const MARKS: readonly (readonly [what: string, reply: string, outcome: string])[] = [
    ['Squid: refused', 'HTTP/1.1 503 X\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n', 'econnrefused'],
    ['Squid: DNS', 'HTTP/1.1 503 X\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n', 'nxdomain'],
    ['Proxy-Status: refused', 'HTTP/1.1 502 X\r\nProxy-Status: p; error=connection_refused\r\n\r\n', 'econnrefused'],
  ];
  it.each(MARKS)(
    'A-04 marks come before the ban rules: %s is tried elsewhere, nobody is down',
    async (_what, mark, outcome) => {
      const bad = await kit.upstream();
      bad.misbehaviour = { reply: mark };
      const { origin, proxy } = await pair(`http://${labelOf(bad)}`);
      const receipt = await untilChosen(proxy, labelOf(bad), origin.port);
      expect(outcomesOf(receipt)).toEqual([outcome, 'fine']);
      expect(proxy.said.filter((line) => line.includes('is down'))).toEqual([]);
    },
  );

  it('A-04 a refused CONNECT is the fault of the target, and tried elsewhere', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const ups = await kit.upstreams(2);
    for (const up of ups) up.misbehaviour = { reply: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n' };
    const proxy = await kit.proxy('websites: { shop.localhost: { insecureTarget: true } }\n', ups);
    const url = `https://shop.localhost:${origin.port}/`;
    expectRefusal(await get(proxy, url, retries(1)), 'ehostunreach');
    expect(new Set(exitsOf(proxy.receipts[0]))).toEqual(new Set(ups.map(labelOf)));
    expect(proxy.said.filter((line) => line.includes('is down'))).toEqual([]);
    for (const up of ups) up.misbehaviour = {};
    expect(await get(proxy, url)).toMatchObject({ status: 200, body: 'hello' });
  });
});

describe('a rotating upstream', () => {
  const gateway = async (yaml = '', login = '') => {
    const origin = await kit.origin();
    const up = await kit.upstream();
    const proxy = await kit.proxy(`upstreams:\n  - { url: "http://${login}${labelOf(up)}", rotating: true }\n${yaml}`);
    return { origin, up, proxy, url: `http://shop.localhost:${origin.port}/` };
  };

  it('A-13 is tried again after a ban, each time on a fresh connection, and not banned itself', async () => {
    const { origin, up, proxy, url } = await gateway();
    for (let n = 0; n < 5; n++) origin.enqueue(BAN);
    expect(await get(proxy, url)).toMatchObject({ status: 200, body: 'hello' });
    expect(outcomesOf(proxy.receipts[0])).toEqual([...Array(5).fill('status-429'), 'fine']);
    expect(up.accepted()).toBe(6);
    expect((await get(proxy, url)).status).toBe(200);
    expect(up.accepted()).toBe(7);
  });

  it('A-13 slaveDelay does not apply to it', async () => {
    const { proxy, url } = await gateway('pacing: { siteDelay: 0ms, slaveDelay: 500s }\n');
    expect([(await get(proxy, url)).status, (await get(proxy, url)).status]).toEqual([200, 200]);
  });

  it('A-13 in a session a ban counts for that session only', async () => {
    const { origin, proxy, url } = await gateway();
    const make = async (): Promise<string> =>
      (await get(proxy, url, 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session') ?? '';
    const [one, two] = [await make(), await make()];
    const inSession = (id: string) => get(proxy, url, `X-Crawlera-Session: ${id}\r\n`);
    origin.enqueue(BAN);
    expectRefusal(await inSession(one), 'slavebanned', { session: one, retryAfter: '600' });
    expectRefusal(await inSession(one), 'slavebanned', { session: one });
    expect((await inSession(two)).status).toBe(200);
    expect((await get(proxy, url)).status).toBe(200);
  });

  it('A-13 R-02 {session} in its URL becomes the id of the session, and is not shown', async () => {
    const { proxy, url, up } = await gateway('', 'u-{session}:pw@');
    const made = await get(proxy, url, 'X-Crawlera-Session: create\r\n');
    const id = made.header('X-Crawlera-Session');
    await get(proxy, url, `X-Crawlera-Session: ${id}\r\n`);
    await get(proxy, url);
    expect(new Set(up.logins.slice(0, -1))).toEqual(new Set([`u-${id}:pw`]));
    expect(up.logins.at(-1)).not.toBe(`u-${id}:pw`);
    expect(made.header('X-Crawlera-Slave')).toBe(labelOf(up));
  });
});
