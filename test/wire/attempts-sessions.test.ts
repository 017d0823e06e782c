/** Attempts in sessions over real sockets, and requests that want no ban check (S-12 to S-17, H-25). */
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/pipeline/ports.ts';
import { type Answer, call, get } from '../support/client.ts';
import type { Act } from '../support/origin.ts';
import type { RunningProxy } from '../support/proxy.ts';
import { expectRefusal, freePort, labelOf, makeWireKit, QUICK } from './errors-kit.ts';

const kit = makeWireKit();

const BAN = 'HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/html\r\nX-Odd: 1\r\nContent-Length: 4\r\n\r\nno!!';
const CREATE = 'X-Crawlera-Session: create\r\n';
const NO_BANCHECK = 'X-Crawlera-No-Bancheck: 1\r\n';
const inSession = (id: string): string => `X-Crawlera-Session: ${id}\r\n`;

const exitsOf = (receipt: Receipt | undefined): string[] => receipt?.attempts.map((one) => one.exit) ?? [];

const sessionsOf = async (proxy: RunningProxy): Promise<Record<string, string>> =>
  JSON.parse((await call(proxy, 'GET', '/sessions')).body) as Record<string, string>;

const idOf = (answer: Answer): string => {
  const id = answer.header('X-Crawlera-Session');
  expect(id).toMatch(/^[1-9]\d{6,14}$/);
  return id ?? '';
};

const scene = async (count = 3, yaml = '') => {
  const origin = await kit.origin();
  const ups = await kit.upstreams(count);
  const proxy = await kit.proxy(yaml, ups);
  return { origin, ups, proxy, url: `http://shop.localhost:${origin.port}/` };
};

describe('the request that makes a session', () => {
  it('S-12 may rotate, and the session keeps the upstream of what was delivered', async () => {
    const { origin, proxy, url } = await scene();
    origin.enqueue(BAN);
    origin.enqueue('close');
    const answer = await get(proxy, url, CREATE);
    expect(answer.status).toBe(200);
    const exits = exitsOf(proxy.receipts[0]);
    expect(new Set(exits).size).toBe(3);
    const id = idOf(answer);
    expect(await sessionsOf(proxy)).toEqual({ [id]: exits[2] });
    for (let n = 0; n < 5; n++) {
      const next = await get(proxy, url, inSession(id));
      expect(next).toMatchObject({ status: 200 });
      expect(next.header('X-Crawlera-Slave')).toBe(exits[2]);
      expect(next.header('X-Crawlera-Session')).toBe(id);
    }
  });

  it.each([1, 3])('E-09 S-14 names the rest of the ban when all of %d upstreams were banned', async (count) => {
    const { origin, proxy, url } = await scene(count);
    origin.fallback = [BAN];
    const made = await get(proxy, url, CREATE);
    expectRefusal(made, 'slavebanned', { session: idOf(made) });
    const next = await get(proxy, url, inSession(idOf(made)));
    expectRefusal(next, 'slavebanned', { session: idOf(made) });
    for (const answer of [made, next]) {
      expect(Number(answer.header('Retry-After'))).toBeGreaterThanOrEqual(598);
      expect(Number(answer.header('Retry-After'))).toBeLessThanOrEqual(600);
    }
  });

  const endings: readonly (readonly [what: string, acts: readonly Act[], status: number])[] = [
    ['504', ['hang'], 504],
    ['502', ['no http\r\n'], 502],
    ['a ban', [BAN], 503],
    ['541', ['HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n'], 541],
    ['an error of the target', ['HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n'], 500],
  ];
  it.each(endings)('S-13 R-03 %s: the session is there, and its id with the answer', async (_what, acts, status) => {
    const { origin, proxy, url } = await scene(1, `${QUICK}limits: { response: 1KiB }\n`);
    origin.fallback = acts;
    const answer = await get(proxy, url, `${CREATE}X-Crawlera-Timeout: 250\r\n`);
    expect(answer.status).toBe(status);
    expect(Object.keys(await sessionsOf(proxy))).toEqual([idOf(answer)]);
    expect(proxy.receipts[0]?.session).toBe(idOf(answer));
  });

  it('S-13 S-12 a session whose every attempt failed keeps the upstream tried last', async () => {
    const { origin, proxy, url } = await scene(2);
    origin.fallback = [BAN];
    const answer = await get(proxy, url, CREATE);
    expectRefusal(answer, 'slavebanned', { session: idOf(answer) });
    expect(Object.values(await sessionsOf(proxy))).toEqual([exitsOf(proxy.receipts[0])[1]]);
  });

  it.each([
    ['407', 'Proxy-Authorization: Basic d3Jvbmc6\r\n', 407],
    ['540', 'X-Crawlera-UA: x\r\n', 540],
    ['noslaves before the first attempt', 'X-Crawlera-Region: fr\r\n', 503],
  ])('S-13 %s makes no session and names none', async (_what, header, status) => {
    const { proxy, url, origin } = await scene();
    const answer = await get(proxy, url, CREATE + header);
    expect(answer.status).toBe(status);
    expect(answer.header('X-Crawlera-Session')).toBeUndefined();
    expect(await sessionsOf(proxy)).toEqual({});
    expect(origin.requests).toEqual([]);
  });
});

describe('a ban inside a session', () => {
  const banned = async (yaml = '') => {
    const made = await scene(3, yaml);
    const id = idOf(await get(made.proxy, made.url, CREATE));
    const slave = (await sessionsOf(made.proxy))[id] ?? '';
    made.origin.enqueue(BAN);
    const before = made.origin.requests.length;
    const answer = await get(made.proxy, made.url, `${inSession(id)}X-Crawlera-Max-Retries: 3\r\n`);
    return { ...made, id, slave, answer, before };
  };

  it('S-14 S-17 is told at once, whatever the retries, and the session is not moved', async () => {
    const { proxy, url, id, slave, answer, before, origin, ups } = await banned();
    expectRefusal(answer, 'slavebanned', { session: id, slave, retryAfter: '600' });
    expect(origin.requests).toHaveLength(before + 1);
    expectRefusal(await get(proxy, url, inSession(id)), 'slavebanned', { session: id });
    expect(origin.requests).toHaveLength(before + 1);
    expect(await sessionsOf(proxy)).toEqual({ [id]: slave });
    expect(ups.filter((up) => up.seen.length > 0).map(labelOf)).toEqual([slave]);
  });

  it('S-15 leaves the session to other websites, and others to this website', async () => {
    const { proxy, url, id, slave, origin } = await banned();
    const elsewhere = await get(proxy, `http://other.localhost:${origin.port}/`, inSession(id));
    expect(elsewhere.status).toBe(200);
    expect(elsewhere.header('X-Crawlera-Slave')).toBe(slave);
    for (let n = 0; n < 4; n++) {
      const free = await get(proxy, url);
      expect(free.status).toBe(200);
      expect(free.header('X-Crawlera-Slave')).not.toBe(slave);
    }
  });

  it('S-15 ends with the time of the ban', async () => {
    const { proxy, url, id, slave } = await banned('bans: { duration: 40ms }\n');
    let answer = await get(proxy, url, inSession(id));
    for (let n = 0; n < 200 && answer.status !== 200; n++) answer = await get(proxy, url, inSession(id));
    expect(answer.status).toBe(200);
    expect(answer.header('X-Crawlera-Slave')).toBe(slave);
  });

  it('S-16 is none to requests without ban check: they are sent, and delivered', async () => {
    const { proxy, url, id, slave, origin } = await banned();
    origin.enqueue(BAN);
    const answer = await get(proxy, url, inSession(id) + NO_BANCHECK);
    expect(answer).toMatchObject({ status: 429, body: 'no!!' });
    expect(answer.header('X-Crawlera-Slave')).toBe(slave);
    expect(answer.header('X-Crawlera-Session')).toBe(id);
    expect(answer.header('X-Crawlera-Error')).toBeUndefined();
  });
});

describe('retries inside a session', () => {
  const failing = async (header: string) => {
    const { origin, proxy, url } = await scene(3);
    const id = idOf(await get(proxy, url, CREATE));
    const slave = (await sessionsOf(proxy))[id] ?? '';
    origin.fallback = ['close'];
    proxy.receipts.length = 0;
    expectRefusal(await get(proxy, url, inSession(id) + header), 'socket_closed_remotely', { session: id, slave });
    return { exits: exitsOf(proxy.receipts[0]), slave };
  };

  it('S-17 there are none unless asked for', async () => {
    const { exits, slave } = await failing('');
    expect(exits).toEqual([slave]);
  });

  it('S-17 as many as asked for, through the same upstream', async () => {
    const { exits, slave } = await failing('X-Crawlera-Max-Retries: 2\r\n');
    expect(exits).toEqual([slave, slave, slave]);
  });

  it('S-17 S-18 none through an upstream that is down by then', async () => {
    const { origin, ups, proxy, url } = await scene(2);
    const id = idOf(await get(proxy, url, CREATE));
    const slave = (await sessionsOf(proxy))[id] ?? '';
    await ups.find((up) => labelOf(up) === slave)?.close();
    proxy.receipts.length = 0;
    const answer = await get(proxy, url, `${inSession(id)}X-Crawlera-Max-Retries: 5\r\n`);
    expectRefusal(answer, 'noslaves', { session: id, slave, retryAfter: '30' });
    expect(exitsOf(proxy.receipts[0])).toEqual([slave]);
    expect(origin.requests).toHaveLength(1);
  });

  it('S-17 A-04 the last upstream up is tried as often as asked for', async () => {
    const proxy = await kit.proxy(`upstreams:\n  - url: http://127.0.0.1:${await freePort()}\n`);
    const id = (await call(proxy, 'POST', '/sessions')).body;
    const answer = await get(proxy, 'http://shop.localhost/', `${inSession(id)}X-Crawlera-Max-Retries: 2\r\n`);
    expectRefusal(answer, 'noslaves', { session: id, retryAfter: '1' });
    expect(proxy.receipts.at(-1)?.attempts).toHaveLength(3);
  });
});

describe('without ban check', () => {
  it('H-25 A-10 S-16 the page of the target is delivered as it is, once, and nobody is banned for it', async () => {
    const { origin, proxy, url } = await scene(2);
    origin.fallback = [BAN];
    for (let n = 0; n < 3; n++) {
      const answer = await get(proxy, url, NO_BANCHECK);
      expect(answer).toMatchObject({ status: 429, reason: 'Too Many Requests', body: 'no!!' });
      expect(answer.header('X-Odd')).toBe('1');
      expect(answer.header('X-Crawlera-Error')).toBeUndefined();
      expect(answer.header('Retry-After')).toBeUndefined();
    }
    expect(origin.requests).toHaveLength(3);
    expect(proxy.receipts).toMatchObject(
      Array(3).fill({ outcome: 'ok', status: 429, attempts: [{ outcome: 'fine' }] }),
    );
    origin.fallback = ['HTTP/1.1 204 No Content\r\n\r\n'];
    const exits = [await get(proxy, url), await get(proxy, url)].map((answer) => answer.header('X-Crawlera-Slave'));
    expect(new Set(exits).size).toBe(2);
  });

  it('S-16 P-01 banned upstreams serve them too', async () => {
    const { origin, proxy, url, ups } = await scene(2);
    origin.enqueue(BAN);
    await get(proxy, url);
    proxy.receipts.length = 0;
    for (let n = 0; n < 4; n++) await get(proxy, url, NO_BANCHECK);
    expect(new Set(proxy.receipts.flatMap(exitsOf))).toEqual(new Set(ups.map(labelOf)));
  });

  it('A-02 H-25 connection failures are tried again all the same', async () => {
    const { origin, proxy, url } = await scene(2);
    origin.enqueue('close');
    expect((await get(proxy, url, NO_BANCHECK)).status).toBe(200);
    expect(proxy.receipts[0]?.attempts).toHaveLength(2);
  });
});
