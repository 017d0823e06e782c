/** Section 3 of the contract over real sockets: what the control headers do, where they may stand, and which error comes first. */
import { describe, expect, it } from 'vitest';
import { BUILT_IN_AGENTS } from '../support/agents.ts';
import { type Answer, AUTH, basic, get, openLine, openSecure, openTunnel } from '../support/client.ts';
import { type Origin, reply } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { makeWireKit, urlOf } from './errors-kit.ts';

const kit = makeWireKit();

const AGENTS = {
  desktop: new Set(BUILT_IN_AGENTS.desktop.agents.map(({ userAgent }) => userAgent)),
  mobile: new Set(BUILT_IN_AGENTS.mobile.agents.map(({ userAgent }) => userAgent)),
};

const BAN = 'HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nban';
const MINE = 'User-Agent: Mine/1\r\n';
const ROOTS = (): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`;

interface Stage {
  readonly proxy: RunningProxy;
  readonly origin: Origin;
  readonly site: string;
  ask(more: string): Promise<Answer>;
  /** User agent of the latest request the target saw. */
  agent(): string | undefined;
  head(): string;
}

const stage = async (yaml = ''): Promise<Stage> => {
  const origin = await kit.origin();
  const proxy = await kit.proxy(yaml);
  const site = `http://shop.localhost:${origin.port}/`;
  const head = (): string => origin.requests.at(-1)?.head ?? '';
  return {
    proxy,
    origin,
    site,
    ask: (more) => get(proxy, site, more),
    agent: () => /\r\nuser-agent: ([^\r]*)/i.exec(head())?.[1],
    head,
  };
};

const as = async (proxy: RunningProxy, user: string, url: string, more = ''): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const auth = `Proxy-Authorization: ${basic(user)}\r\n`;
  const answer = await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${auth}${more}\r\n`);
  line.socket.destroy();
  return answer;
};

const kindOf = (agent = ''): string =>
  AGENTS.desktop.has(agent) ? 'desktop' : AGENTS.mobile.has(agent) ? 'mobile' : agent;

describe('general rules', () => {
  it.each([
    ['H-01 in lower case', 'x-crawlera-ua: mobile\r\n', 'mobile'],
    ['H-01 in odd case', 'X-CRAWLERA-Ua: mobile\r\n', 'mobile'],
    ['H-13 with a value in capitals', 'X-Crawlera-UA: MOBILE\r\n', 'mobile'],
    ['H-01 with blanks around it', 'X-Crawlera-UA: \t pass  \r\n', 'Mine/1'],
    ['H-02 empty, which counts as absent', 'X-Crawlera-UA:\r\n', 'desktop'],
    ['H-02 blank, which counts as absent', 'X-Crawlera-UA:   \r\n', 'desktop'],
    ['H-03 twice, of which the last wins', 'X-Crawlera-UA: mobile\r\nX-Crawlera-UA: pass\r\n', 'Mine/1'],
    ['H-03 twice in other spellings', 'X-Crawlera-UA: pass\r\nx-crawlera-ua: mobile\r\n', 'mobile'],
    ['absent', '', 'desktop'],
    ['H-08 as Zyte-Device', 'Zyte-Device: mobile\r\n', 'mobile'],
    ['H-08 beaten by its elder twin', 'Zyte-Device: mobile\r\nX-Crawlera-Profile: desktop\r\n', 'desktop'],
    ['H-14 superseded by a profile', 'X-Crawlera-UA: mobile\r\nX-Crawlera-Profile: desktop\r\n', 'desktop'],
    ['H-27 as the withdrawn NO-UA', 'X-Crawlera-NO-UA: 1\r\n', 'desktop'],
  ])('reads %s', async (_what, header, expected) => {
    const { ask, agent, head } = await stage();
    expect((await ask(MINE + header)).status).toBe(200);
    expect(kindOf(agent())).toBe(expected);
    expect(head()).not.toMatch(/crawlera|zyte/i);
  });

  it('H-02 takes the mere presence of No-Bancheck, empty or 0', async () => {
    for (const value of ['', ' 0', ' 1']) {
      const { ask, origin } = await stage();
      origin.fallback = [BAN];
      const answer = await ask(`X-Crawlera-No-Bancheck:${value}\r\n`);
      expect([answer.status, answer.body, answer.header('X-Crawlera-Error')]).toEqual([503, 'ban', undefined]);
      expect(origin.requests).toHaveLength(1);
    }
  });

  it('H-03 uses the last of two session ids, never both', async () => {
    const { ask } = await stage();
    const id = (await ask('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    const answer = await ask(`X-Crawlera-Session: 1234567\r\nX-Crawlera-Session: ${id}\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Session')]).toEqual([200, id]);
  });

  it.each([
    'X-Crawlera-Client: scrapy-zyte-smartproxy/2.4.1',
    'X-Crawlera-Wait: 10',
    'X-Crawlera-State: TX',
    'X-Crawlera-City: Austin',
    'X-Crawlera-Made-Up: \x80\xff',
    'Zyte-Made-Up: 1',
    'X-Crawlera-Debug: True',
    'X-Crawlera-Profile-Pass: no such, header;',
  ])('H-04 H-23 H-28 strips and ignores %s', async (header) => {
    const { ask, head } = await stage();
    expect((await ask(`${header}\r\n`)).status).toBe(200);
    expect(head()).not.toMatch(/crawlera|zyte/i);
  });

  it('H-15 serves the combination the browser plugins send', async () => {
    const { ask, head } = await stage();
    const id = (await ask('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    const plugin = `X-Crawlera-Profile: pass\r\nX-Crawlera-No-Bancheck: 1\r\nX-Crawlera-Cookies: disable\r\nX-Crawlera-Session: ${id}\r\nX-Crawlera-Client: zyte-smartproxy-puppeteer/1.0.13\r\n`;
    const answer = await ask(`${MINE}Accept-Language: de\r\nCookie: a=1\r\n${plugin}`);
    expect([answer.status, answer.header('X-Crawlera-Session')]).toEqual([200, id]);
    expect(head()).toMatch(/User-Agent: Mine\/1\r\nAccept-Language: de\r\nCookie: a=1\r\n\r\n$/);
  });
});

describe('in tunnels', () => {
  it('H-05 reads the inner request of a tunnel with TLS', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(ROOTS());
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    const answer = await line.ask(
      'GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-Crawlera-UA: mobile\r\nX-Crawlera-Debug: ua\r\n\r\n',
    );
    expect(AGENTS.mobile).toContain(answer.header('X-Crawlera-Debug-UA'));
    expect(origin.received()).not.toMatch(/crawlera/i);
    line.socket.destroy();
  });

  it('H-06 takes those of the CONNECT for defaults, which the inner request overrides header by header', async () => {
    const { proxy, origin, agent } = await stage();
    const line = await openTunnel(
      proxy,
      `shop.localhost:${origin.port}`,
      `${AUTH}x-crawlera-ua: mobile\r\nX-Crawlera-Debug: ua\r\nX-Crawlera-JobId: 7\r\n`,
    );
    const inner = (more: string) => line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${MINE}${more}\r\n`);
    expect(AGENTS.mobile).toContain((await inner('')).header('X-Crawlera-Debug-UA'));
    expect((await inner('X-Crawlera-UA: pass\r\n')).header('X-Crawlera-Debug-UA')).toBe('Mine/1');
    expect(agent()).toBe('Mine/1');
    // An empty one counts as absent (H-02), so it overrides nothing.
    expect(AGENTS.mobile).toContain((await inner('X-Crawlera-UA:\r\n')).header('X-Crawlera-Debug-UA'));
    expect(proxy.receipts.map(({ job }) => job?.controls.jobId)).toEqual(['7', '7', '7']);
    line.socket.destroy();
  });

  it('H-06 reports an unusable value of the CONNECT inside the tunnel, once it counts (T-06)', async () => {
    const { proxy, origin } = await stage();
    const line = await openTunnel(proxy, `shop.localhost:${origin.port}`, `${AUTH}X-Crawlera-UA: tablet\r\n`);
    const refused = await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n');
    expect([refused.status, refused.body]).toEqual([540, 'Bad header value for X-Crawlera-UA']);
    const served = await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-Crawlera-UA: pass\r\n\r\n');
    expect(served.status).toBe(200);
    line.socket.destroy();
  });

  it('H-06 makes one session for the tunnel at its first inner request, and another for the next tunnel', async () => {
    const { proxy, origin } = await stage();
    const tunnel = () => openTunnel(proxy, `shop.localhost:${origin.port}`, `${AUTH}X-Crawlera-Session: create\r\n`);
    const line = await tunnel();
    expect((await listOf(proxy)).length).toBe(0);
    const inner = (more = '') => line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${more}\r\n`);
    const id = (await inner()).header('X-Crawlera-Session');
    expect(id).toMatch(/^[1-9]\d{6,14}$/);
    expect((await inner()).header('X-Crawlera-Session')).toBe(id);
    // The inner request's own word wins, for that request.
    const own = (await inner('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    expect(own).not.toBe(id);
    expect((await inner(`X-Crawlera-Session: ${own}\r\n`)).header('X-Crawlera-Session')).toBe(own);
    expect((await inner()).header('X-Crawlera-Session')).toBe(id);
    const other = await tunnel();
    const next = await other.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n');
    expect(next.header('X-Crawlera-Session')).not.toBe(id);
    expect((await listOf(proxy)).length).toBe(3);
    line.socket.destroy();
    other.socket.destroy();
  });

  it("H-06 puts the operator's defaults below both", async () => {
    const { proxy, origin } = await stage(
      `accounts:\n  - { id: test, key: ${KEY}, defaults: { X-Crawlera-UA: mobile, X-Crawlera-Debug: ua } }\n`,
    );
    const url = `http://shop.localhost:${origin.port}/`;
    expect(AGENTS.mobile).toContain((await get(proxy, url, MINE)).header('X-Crawlera-Debug-UA'));
    expect((await get(proxy, url, `${MINE}X-Crawlera-UA: pass\r\n`)).header('X-Crawlera-Debug-UA')).toBe('Mine/1');
    const line = await openTunnel(proxy, `shop.localhost:${origin.port}`, `${AUTH}X-Crawlera-UA: desktop\r\n`);
    const inner = await line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${MINE}\r\n`);
    expect(AGENTS.desktop).toContain(inner.header('X-Crawlera-Debug-UA'));
    line.socket.destroy();
  });

  it('U-11 H-06 a user name with a session passes user agent and cookies on, unless told otherwise at any place above', async () => {
    const { proxy, site, agent, head } = await stage(
      `accounts:\n  - { id: test, key: ${KEY} }\n  - { id: two, key: two, defaults: { X-Crawlera-UA: mobile } }\n`,
    );
    await as(proxy, `${KEY}-session-a`, site, `${MINE}Cookie: a=1\r\n`);
    expect([agent(), /\r\nCookie: a=1/.test(head())]).toEqual(['Mine/1', true]);
    await as(proxy, `${KEY}-session-a`, site, `${MINE}X-Crawlera-UA: mobile\r\n`);
    expect(AGENTS.mobile).toContain(agent());
    await as(proxy, 'two-session-a', site, MINE);
    expect(AGENTS.mobile).toContain(agent());
    // A region alone makes no browser of it.
    const named = await as(proxy, `${KEY}-region-us`, site, MINE);
    expect([named.status, named.header('X-Crawlera-Error')]).toEqual([503, 'noslaves']);
  });
});

const listOf = async (proxy: RunningProxy): Promise<string[]> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(`GET /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
  line.socket.destroy();
  return Object.keys(JSON.parse(answer.body) as object);
};

describe('which error comes first (H-07)', () => {
  const YAML = [
    'accounts:',
    `  - { id: test, key: ${KEY}, plan: c10, maxConnections: 1, maxSessions: 1 }`,
    'websites: { "*.blocked.localhost": { forbidden: true } }',
    'pacing: { siteDelay: 20s, slaveDelay: 0ms, softLimit: 1s, hardLimit: 10s, maxHold: 10s }',
    '',
  ].join('\n');
  const GATED = 'X-Crawlera-UA: pass\r\n';
  const BAD = 'X-Crawlera-Timeout: soon\r\n';
  const SESSION = 'X-Crawlera-Session: 1234567\r\n';
  const FORBIDDEN = 'http://x.blocked.localhost/';
  const BAD_URI = 'ftp://x.blocked.localhost/';
  const TWO_HOSTS = 'Host: a\r\nHost: b\r\n';

  it.each([
    ['unreadable bytes before a wrong key', 'wrong', BAD_URI, `${TWO_HOSTS}${GATED}${BAD}`, 400, 'invalid_request'],
    ['a wrong key before a bad URL', 'wrong', BAD_URI, `${GATED}${BAD}${SESSION}`, 407, 'bad_auth'],
    ['a bad URL before a header not in the plan', KEY, BAD_URI, `${GATED}${BAD}${SESSION}`, 400, 'bad_uri'],
    ['the plan before any value', KEY, FORBIDDEN, `${BAD}${GATED}${SESSION}`, 470, 'header_auth'],
    ['the plan before the value of that same header', KEY, FORBIDDEN, 'X-Crawlera-UA: tablet\r\n', 470, 'header_auth'],
    ['a value before a forbidden website', KEY, FORBIDDEN, `${BAD}${SESSION}`, 540, 'bad_header'],
    ['a forbidden website before an unknown session', KEY, FORBIDDEN, SESSION, 523, 'domain_forbidden'],
  ])('H-07 reports %s', async (_what, user, url, more, status, code) => {
    const { proxy, origin } = await stage(YAML);
    const answer = await as(proxy, user, url, more);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([status, code]);
    expect(origin.accepted()).toBe(0);
  });

  it('H-07 reports session lookup and limit before concurrency, concurrency before pacing, pacing before an attempt', async () => {
    const { proxy, origin, ask, site } = await stage(YAML);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    origin.enqueue({ until: held }, reply('slow'));
    const first = ask('X-Crawlera-Session: create\r\n');
    await until(() => origin.requests.length === 1, 'the first request at the target');
    const codes = async (more: string) => {
      const answer = await ask(more);
      return [answer.status, answer.header('X-Crawlera-Error'), answer.header('X-Crawlera-Session')];
    };
    expect(await codes(SESSION)).toEqual([400, 'bad_session_id', '1234567']);
    expect(await codes('X-Crawlera-Session: create\r\n')).toEqual([400, 'user_session_limit', undefined]);
    expect(await codes('')).toEqual([429, 'too_many_conns', undefined]);
    release();
    expect((await first).status).toBe(200);
    const late = await get(proxy, site);
    expect([late.status, late.header('X-Crawlera-Error')]).toEqual([503, 'serverbusy']);
    expect(origin.requests).toHaveLength(1);
  });
});

describe('plans', () => {
  const plan = (name: string): string => `accounts:\n  - { id: test, key: ${KEY}, plan: ${name} }\n`;

  it.each([
    ['X-Crawlera-UA: pass', 'x-crawlera-ua'],
    ['X-CRAWLERA-Profile: pass', 'x-crawlera-profile'],
    ['X-Crawlera-Profile-Pass: accept', 'x-crawlera-profile-pass'],
    ['X-Crawlera-No-Bancheck: 1', 'x-crawlera-no-bancheck'],
    ['X-Crawlera-No-Bancheck:', 'x-crawlera-no-bancheck'],
    ['Zyte-Device: mobile', 'zyte-device'],
  ])('H-09 H-10 refuses %s on c10, and takes it on every other plan', async (header, name) => {
    const cheap = await stage(plan('c10'));
    const answer = await cheap.ask(`${header}\r\n`);
    expect([answer.status, answer.reason, answer.header('X-Crawlera-Error'), answer.body]).toEqual([
      470,
      'Unauthorized Header',
      'header_auth',
      `Unauthorized Crawlera header: "${name}"`,
    ]);
    expect(cheap.origin.accepted()).toBe(0);
    for (const other of ['c50', 'enterprise'])
      expect((await (await stage(plan(other))).ask(`${header}\r\n`)).status).toBe(200);
  });

  it('H-09 judges those of the CONNECT too, and takes no offence at an empty one (H-02)', async () => {
    const { proxy, origin, ask } = await stage(plan('c10'));
    const line = await openTunnel(proxy, `shop.localhost:${origin.port}`, `${AUTH}X-Crawlera-UA: pass\r\n`);
    expect((await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n')).status).toBe(470);
    expect((await ask('X-Crawlera-UA:\r\n')).status).toBe(200);
    line.socket.destroy();
  });

  it('H-10 leaves the other headers to c10', async () => {
    const { ask } = await stage(plan('c10'));
    const all = [
      'X-Crawlera-Cookies: disable',
      'X-Crawlera-Timeout: 40000',
      'X-Crawlera-Session: create',
      'X-Crawlera-JobId: 1',
      'X-Crawlera-Max-Retries: 1',
      'X-Crawlera-Debug: ua',
      'X-Crawlera-Use-Https: 0',
    ];
    expect((await ask(`${all.join('\r\n')}\r\n`)).status).toBe(200);
  });

  it('H-06 H-10 does not gate the defaults of the operator', async () => {
    const { ask, agent } = await stage(
      `accounts:\n  - { id: test, key: ${KEY}, plan: c10, defaults: { X-Crawlera-UA: pass } }\n`,
    );
    expect((await ask(MINE)).status).toBe(200);
    expect(agent()).toBe('Mine/1');
  });

  it('H-11 gates nothing by default', async () => {
    const { ask } = await stage();
    expect(
      (await ask('X-Crawlera-UA: pass\r\nX-Crawlera-Profile-Pass: a\r\nX-Crawlera-No-Bancheck: 1\r\n')).status,
    ).toBe(200);
  });
});

describe('values', () => {
  it.each([
    ['X-Crawlera-UA', 'tablet'],
    ['X-Crawlera-UA', 'crawlera'],
    ['X-Crawlera-Profile', 'chrome'],
    ['X-Crawlera-Cookies', 'maybe'],
    ['X-Crawlera-Max-Retries', '6'],
    ['X-Crawlera-Max-Retries', '-1'],
    ['X-Crawlera-Max-Retries', '1.5'],
    ['X-Crawlera-Max-Retries', 'two'],
    ['X-Crawlera-Timeout', '30s'],
    ['X-Crawlera-Timeout', '1e5'],
    ['X-Crawlera-Use-Https', 'yes'],
    ['X-Crawlera-Region', 'USA'],
    ['X-Crawlera-Region', 'u'],
  ])('H-12 H-13 H-16 H-17 refuses %s: %s with 540 in canonical spelling', async (name, value) => {
    const { ask, origin } = await stage();
    for (const spelled of [name, name.toLowerCase()]) {
      const answer = await ask(`${spelled}: ${value}\r\n`);
      expect([answer.status, answer.reason, answer.header('X-Crawlera-Error'), answer.body]).toEqual([
        540,
        'Bad Header Value',
        'bad_header',
        `Bad header value for ${name}`,
      ]);
    }
    expect(origin.accepted()).toBe(0);
  });

  it.each([
    ['300000', 180_000],
    ['0', 30_000],
    ['-5', 30_000],
    ['29999', 30_000],
    ['45000', 45_000],
    ['99999999999999999999', 180_000],
  ])('H-16 clamps a timeout of %s to %d ms', async (value, expected) => {
    const { ask, proxy } = await stage();
    expect((await ask(`X-Crawlera-Timeout: ${value}\r\n`)).status).toBe(200);
    expect(proxy.receipts[0]?.job?.controls.timeoutMs).toBe(expected);
  });

  it('H-16 A-06 ends an attempt after the clamped time', async () => {
    const { ask, origin } = await stage('timeouts: { response: 100ms, responseMin: 100ms, responseMax: 200ms }\n');
    origin.fallback = ['hang'];
    const started = performance.now();
    const answer = await ask('X-Crawlera-Timeout: 9000000\r\n');
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([504, 'timeout']);
    const tookMs = performance.now() - started;
    expect(tookMs).toBeGreaterThan(190);
    expect(tookMs).toBeLessThan(2_000);
  });

  it.each([
    [undefined, 6],
    [0, 1],
    [2, 3],
    [5, 6],
  ])('H-17 A-01 Max-Retries %s makes %d attempts at most', async (retries, attempts) => {
    const origin = await kit.origin();
    origin.fallback = [BAN];
    const upstreams = await kit.upstreams(7);
    const proxy = await kit.proxy('', upstreams);
    const header = retries === undefined ? '' : `X-Crawlera-Max-Retries: ${retries}\r\n`;
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, header);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([503, 'slavebanned']);
    expect(origin.requests).toHaveLength(attempts);
  });

  it('H-18 robustness B02 writes the job into the receipt and nowhere else, cut to 256 characters', async () => {
    const { ask, proxy, origin } = await stage();
    const answer = await ask(`X-Crawlera-JobId:  job-\x01${'7'.repeat(300)}  \r\n`.replace('\x01', '\t'));
    expect(answer.status).toBe(200);
    expect(answer.raw).not.toContain('job-');
    expect(origin.received()).not.toContain('job-');
    expect(proxy.receipts[0]?.job?.controls.jobId).toBe(`job-${'7'.repeat(252)}`);
  });

  it.each([
    ['request-time', true, false],
    ['ua', false, true],
    ['ua,request-time', true, true],
    [' Request-Time ,, UA, True', true, true],
    ['True', false, false],
  ])('H-19 R-05 Debug %j', async (value, time, ua) => {
    const { ask, agent } = await stage();
    const answer = await ask(`X-Crawlera-Debug: ${value}\r\n`);
    if (time) expect(answer.header('X-Crawlera-Debug-Request-Time')).toMatch(/^\d+\.\d{6}$/);
    else expect(answer.header('X-Crawlera-Debug-Request-Time')).toBeUndefined();
    expect(answer.header('X-Crawlera-Debug-UA')).toBe(ua ? agent() : undefined);
  });

  it('H-19 R-05 has the debug headers on an error too, for the last attempt alone', async () => {
    const { ask, origin, agent } = await stage();
    origin.enqueue({ wait: 80 }, BAN);
    origin.enqueue(BAN);
    const answer = await ask('X-Crawlera-Debug: ua,request-time\r\nX-Crawlera-Max-Retries: 1\r\n');
    expect(answer.status).toBe(503);
    expect(answer.header('X-Crawlera-Debug-UA')).toBe(agent());
    const seconds = Number(answer.header('X-Crawlera-Debug-Request-Time'));
    // On a single exit the ban ends it after one attempt or two; either way it is one attempt's time.
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(1);
  });
});

describe('Use-Https (H-20)', () => {
  it('H-20 fetches an http URL over TLS; an explicit port stays and Host follows', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(ROOTS());
    const authority = `shop.localhost:${origin.port}`;
    const answer = await get(proxy, `http://${authority}/p?q`, 'X-Crawlera-Use-Https: 1\r\nX-Crawlera-UA: pass\r\n');
    expect(answer.status).toBe(200);
    expect(origin.received()).toBe(`GET /p?q HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    expect(origin.requests[0]?.servername).toBe('shop.localhost');
  });

  it.each([
    ['port 80 becomes 443', 'http://shop.localhost/', '1', 'CONNECT shop.localhost:443 '],
    ['so does an explicit one', 'http://shop.localhost:80/', '1', 'CONNECT shop.localhost:443 '],
    ['off', 'http://shop.localhost/', '0', 'GET http://shop.localhost/ '],
    ['nothing to do for an https URL', 'https://shop.localhost:80/', '1', 'CONNECT shop.localhost:80 '],
    ['nor without it', 'https://shop.localhost/', '0', 'CONNECT shop.localhost:443 '],
  ])('H-20 %s', async (_what, url, value, expected) => {
    const upstream = await kit.upstream();
    upstream.misbehaviour = { reply: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' };
    const proxy = await kit.proxy('timeouts: { response: 50ms, responseMin: 50ms, responseMax: 1s }\n', [upstream]);
    await get(proxy, url, `X-Crawlera-Use-Https: ${value}\r\n`);
    expect(upstream.seen[0]?.startsWith(expected)).toBe(true);
  });

  it('H-20 H-07 judges the place it leads to', async () => {
    const proxy = await kit.proxy('targets: { allowPrivate: [127.0.0.0/8], ports: [80] }\n');
    expect((await get(proxy, 'http://shop.localhost/', 'X-Crawlera-Use-Https: 1\r\n')).status).toBe(523);
  });
});

describe('Region (H-22)', () => {
  const regional = async () => {
    const origin = await kit.origin();
    const [us, de] = [await kit.upstream(), await kit.upstream()];
    const proxy = await kit.proxy(
      `upstreams:\n  - { url: "${urlOf(us)}", region: us }\n  - { url: "${urlOf(de)}", region: DE }\n`,
    );
    const url = `http://shop.localhost:${origin.port}/`;
    return { proxy, url, us: us.model.label, de: de.model.label };
  };

  it.each(['X-Crawlera-Region: de', 'x-crawlera-region: DE', 'Zyte-Geolocation: De'])(
    'H-22 H-08 selects among the upstreams of a country: %s',
    async (header) => {
      const { proxy, url, de } = await regional();
      for (let i = 0; i < 4; i++) expect((await get(proxy, url, `${header}\r\n`)).header('X-Crawlera-Slave')).toBe(de);
    },
  );

  it('H-22 answers noslaves when no upstream is there, with Retry-After and without contact', async () => {
    const { proxy, url } = await regional();
    const answer = await get(proxy, url, 'X-Crawlera-Region: fr\r\n');
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([503, 'noslaves']);
    expect(answer.header('Retry-After')).toMatch(/^[1-9]\d*$/);
  });

  it('H-22 restricts the choice with create, and is ignored with an id', async () => {
    const { proxy, url, us } = await regional();
    const made = await get(proxy, url, 'X-Crawlera-Session: create\r\nX-Crawlera-Region: us\r\n');
    expect(made.header('X-Crawlera-Slave')).toBe(us);
    const id = made.header('X-Crawlera-Session');
    const again = await get(proxy, url, `X-Crawlera-Session: ${id}\r\nX-Crawlera-Region: de\r\n`);
    expect([again.status, again.header('X-Crawlera-Slave')]).toEqual([200, us]);
  });

  it('U-11 H-22 takes the region of the user name, and the header before it', async () => {
    const { proxy, url, us, de } = await regional();
    expect((await as(proxy, `${KEY}-region-us`, url)).header('X-Crawlera-Slave')).toBe(us);
    expect((await as(proxy, `${KEY}-region-us`, url, 'X-Crawlera-Region: de\r\n')).header('X-Crawlera-Slave')).toBe(de);
  });
});

describe('user agents', () => {
  const HINTS = 'Sec-CH-UA: "mine"\r\nsec-ch-ua-platform: "mine"\r\nSec-Fetch-Mode: navigate\r\nAccept: text/x\r\n';

  it.each(['desktop', 'mobile'] as const)('G-01 %s is a browser of its list, anew for every request', async (kind) => {
    const { ask, origin } = await stage();
    for (let i = 0; i < 30; i++) await ask(`${MINE}${HINTS}X-Crawlera-UA: ${kind}\r\n`);
    const agents = origin.requests.map(({ head }) => /\r\nUser-Agent: ([^\r]*)/.exec(head)?.[1] ?? '');
    for (const agent of agents) expect(AGENTS[kind]).toContain(agent);
    expect(new Set(agents).size).toBeGreaterThan(1);
    expect(origin.received()).not.toMatch(/sec-ch-ua/i);
    expect(origin.requests[0]?.head).toMatch(
      /\r\nUser-Agent: [^\r]+\r\nSec-Fetch-Mode: navigate\r\nAccept: text\/x\r\n\r\n$/,
    );
  });

  it('G-01 is chosen anew for every attempt', async () => {
    const origin = await kit.origin();
    origin.fallback = [BAN];
    const proxy = await kit.proxy('', await kit.upstreams(6));
    for (let i = 0; i < 6; i++) await get(proxy, `http://shop${i}.localhost:${origin.port}/`);
    const agents = origin.requests.map(({ head }) => /\r\nUser-Agent: ([^\r]*)/.exec(head)?.[1]);
    expect(agents).toHaveLength(36);
    const perRequest = Array.from({ length: 6 }, (_, i) => new Set(agents.slice(6 * i, 6 * i + 6)).size);
    expect(Math.max(...perRequest)).toBeGreaterThan(1);
  });

  it.each([MINE, ''])("G-02 pass sends the client's own, hints included, or none: %j", async (own) => {
    const { ask, head } = await stage();
    await ask(`${own}${HINTS}X-Crawlera-UA: pass\r\n`);
    expect(head()).toMatch(new RegExp(`\\r\\n${own ? 'User-Agent: Mine/1\\r\\n' : ''}Sec-CH-UA: "mine"\\r\\n`));
    expect(/user-agent/i.test(head())).toBe(own !== '');
  });

  it('S-21 stays the same within one session, and within the next another may come', async () => {
    const { ask, agent, origin } = await stage();
    const firsts = new Set<string | undefined>();
    for (let i = 0; i < 8; i++) {
      const id = (await ask('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
      const first = agent();
      firsts.add(first);
      for (const more of ['', 'X-Crawlera-Profile: desktop\r\n', '']) {
        await ask(`X-Crawlera-Session: ${id}\r\n${more}`);
        expect(agent()).toBe(first);
      }
    }
    expect(firsts.size).toBeGreaterThan(1);
    expect(origin.requests).toHaveLength(32);
  });
});
