/** A real cause over real sockets for every refusal of the table (E-03, E-04). */
import type { Condition } from '../../src/model/errors.ts';
import { type Answer, AUTH, call, get, openLine } from '../support/client.ts';
import type { Act } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { type Expected, freePort, QUICK, type WireKit } from './errors-kit.ts';

/** In which dialect a client is spoken to, and what makes it so (E-06). */
export interface Voice {
  readonly dialect: 'crawlera' | 'spm';
  /** Further traits of the account, YAML. */
  readonly account: string;
  /** Header lines of every request. */
  readonly headers: string;
}

export interface Caused {
  readonly answer: Answer;
  readonly expected?: Expected;
}

/** Makes it happen; `say` is the client's voice. */
export type Cause = (kit: WireKit, say: Voice) => Promise<Caused>;

const accounts = ({ account }: Voice, more = ''): string =>
  `accounts:\n  - { id: test, key: ${KEY}${account}${more} }\n`;

const NO_RETRY = 'X-Crawlera-Max-Retries: 0\r\n';

/** Long enough for a target that answers at once, on a machine that has much to do. */
const BRIEFLY = 'X-Crawlera-Timeout: 250\r\n';

const ask = (proxy: RunningProxy, { headers }: Voice, url: string, more = '', method = 'GET'): Promise<Answer> =>
  get(proxy, url, headers + more, method);

/** One attempt at a target that does this. */
const targetThat =
  (...acts: Act[]): Cause =>
  async (kit, say) => {
    const origin = await kit.origin();
    origin.fallback = acts;
    const proxy = await kit.proxy(accounts(say) + QUICK);
    return { answer: await ask(proxy, say, `http://shop.localhost:${origin.port}/`, `${NO_RETRY}${BRIEFLY}`) };
  };

/** A request no target is needed for. */
const refusedAtOnce =
  (url: string, more = '', account = '', expected: Expected = {}): Cause =>
  async (kit, say) => {
    const proxy = await kit.proxy(`${accounts(say, account)}websites: { barred.localhost: { forbidden: true } }\n`);
    return { answer: await ask(proxy, say, url, more), expected };
  };

const raw =
  (text: string, expected: Expected = {}): Cause =>
  async (kit, say) => {
    const proxy = await kit.proxy(accounts(say));
    const line = await openLine(proxy.port);
    const answer = await line.ask(text.replace('\r\n\r\n', `\r\n${say.headers}\r\n`));
    line.socket.destroy();
    return { answer, expected };
  };

/** Two requests at a target that never answers: the second is refused. */
const second =
  (account: string, yaml: string, expected: Expected = {}): Cause =>
  async (kit, say) => {
    const origin = await kit.origin();
    origin.fallback = ['hang'];
    const proxy = await kit.proxy(accounts(say, account) + yaml);
    const url = `http://shop.localhost:${origin.port}/`;
    const line = await openLine(proxy.port);
    line.write(`GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`);
    await until(() => origin.requests.length === 1, 'the first request');
    const answer = await ask(proxy, say, url);
    line.socket.destroy();
    return { answer, expected };
  };

export const CAUSES: Readonly<Record<Exclude<Condition, 'internal_error' | 'no_upgrade'>, Cause>> = {
  bad_session_id: refusedAtOnce('http://shop.localhost/', 'X-Crawlera-Session: 1234567\r\n', '', {
    session: '1234567',
    slave: undefined,
  }),
  user_session_limit: async (kit, say) => {
    const proxy = await kit.proxy(accounts(say, ', maxSessions: 1'));
    await call(proxy, 'POST', '/sessions', say.headers);
    return { answer: await call(proxy, 'POST', '/sessions', say.headers), expected: { session: undefined } };
  },
  invalid_request: raw(`GET http://shop.localhost/ HTTP/1.1\r\nHost: shop.localhost\r\nHost: b\r\n${AUTH}\r\n`),
  bad_uri: raw(`GET ftp://shop.localhost/ HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`),
  bad_endpoint: async (kit, say) => {
    const proxy = await kit.proxy(accounts(say));
    return { answer: await call(proxy, 'GET', '/nowhere', say.headers) };
  },
  bad_method: async (kit, say) => {
    const proxy = await kit.proxy(accounts(say));
    return { answer: await call(proxy, 'PUT', '/sessions', say.headers) };
  },
  // Nobody knows whose dialect it is, and a wrong key must not look like one worth retrying (E-07).
  // Nobody is known, so only a dialect that all accounts share can be spoken.
  bad_auth: (kit, voice) =>
    raw('GET http://shop.localhost/ HTTP/1.1\r\nHost: shop.localhost\r\n\r\n', {
      dialect: voice.account === ', dialect: spm' ? 'spm' : 'crawlera',
    })(kit, voice),
  headers_too_large: raw(
    `GET http://shop.localhost/ HTTP/1.1\r\nHost: shop.localhost\r\nX-Long: ${'x'.repeat(105_000)}\r\n${AUTH}\r\n`,
  ),
  too_many_conns: second(', maxConnections: 1', ''),
  header_auth: refusedAtOnce('http://shop.localhost/', 'X-CRAWLERA-UA: pass\r\n', ', plan: c10', {
    body: 'Unauthorized Crawlera header: "x-crawlera-ua"',
  }),
  nxdomain: refusedAtOnce('http://nosuch.invalid/'),
  econnrefused: async (kit, say) => {
    const proxy = await kit.proxy(accounts(say));
    return { answer: await ask(proxy, say, `http://shop.localhost:${await freePort()}/`, NO_RETRY) };
  },
  econnreset: targetThat('reset'),
  ehostunreach: async (kit, say) => {
    const up = await kit.upstream();
    up.misbehaviour = { reply: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n' };
    const proxy = await kit.proxy(accounts(say), [up]);
    return { answer: await ask(proxy, say, 'https://shop.localhost/', NO_RETRY) };
  },
  socket_closed_remotely: targetThat('close'),
  send_failed: targetThat('SSH-2.0-OpenSSH_9.2\r\n'),
  tls_failed: async (kit, say) => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(accounts(say));
    return { answer: await ask(proxy, say, `https://shop.localhost:${origin.port}/`, NO_RETRY) };
  },
  noslaves: async (kit, say) => {
    const up = await kit.upstream();
    await up.close();
    const proxy = await kit.proxy(accounts(say), [up]);
    return { answer: await ask(proxy, say, 'http://shop.localhost/') };
  },
  slavebanned: targetThat('HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nno!!'),
  serverbusy: second('', 'pacing: { siteDelay: 2s, slaveDelay: 0ms, hardLimit: 1s }\n', { retryAfter: '2' }),
  timeout: targetThat('hang'),
  msgtimeout: async (kit, say) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(accounts(say) + QUICK);
    const line = await openLine(proxy.port);
    const url = `http://shop.localhost:${origin.port}/`;
    const head = `POST ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}${say.headers}X-Crawlera-Timeout: 50\r\n`;
    const answer = await line.ask(`${head}Content-Length: 10\r\n\r\nhalf`);
    line.socket.destroy();
    return { answer };
  },
  domain_forbidden: refusedAtOnce('http://barred.localhost/', '', '', {
    body: 'Domain forbidden. Please contact admin@example.org',
    slave: undefined,
  }),
  bad_header: refusedAtOnce('http://shop.localhost/', 'x-crawlera-ua: crawlera\r\n', '', {
    body: 'Bad header value for X-Crawlera-UA',
  }),
  data_error: async (kit, say) => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n'];
    const proxy = await kit.proxy(`${accounts(say)}limits: { response: 1KiB }\n`);
    return { answer: await ask(proxy, say, `http://shop.localhost:${origin.port}/`) };
  },
};
