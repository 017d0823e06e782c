/** What the tests of errors and attempts share: servers closed after each test, and the look of an answer of ours. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect } from 'vitest';
import { type Condition, type Dialect, WIRE_ERRORS } from '../../src/model/errors.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import type { Answer } from '../support/client.ts';
import { makeOrigin, type Origin, type OriginOptions } from '../support/origin.ts';
import { type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Listening, listen } from '../support/sockets.ts';
import { makeUpstream, type TestUpstream, type UpstreamOptions } from '../support/upstream.ts';

export interface WireKit {
  /** Made when first asked for. */
  authority(): TestAuthority;
  /** Its certificate as a file, for `targets.extraRoots`. */
  readonly rootsFile: string;
  origin(options?: OriginOptions): Promise<Origin>;
  /** A TLS origin with a certificate of the kit's authority. */
  secureOrigin(hosts: readonly string[], options?: OriginOptions): Promise<Origin>;
  upstream(options?: UpstreamOptions): Promise<TestUpstream>;
  upstreams(count: number): Promise<TestUpstream[]>;
  /** Its bugs must be none when the test ends. */
  proxy(yaml?: string, upstreams?: readonly TestUpstream[]): Promise<RunningProxy>;
  closing<T extends { close(): Promise<unknown> }>(made: T): T;
}

export const urlOf = ({ model }: TestUpstream): string => `${model.kind}://${model.host}:${model.port}`;

export const labelOf = ({ model }: TestUpstream): string => `${model.host}:${model.port}`;

/** Call once a test file, at its top level. */
export const makeWireKit = (): WireKit => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-wire-'));
  const rootsFile = join(folder, 'roots.pem');
  let made: TestAuthority | undefined;
  const authority = (): TestAuthority => {
    if (made) return made;
    made = makeAuthority();
    writeFileSync(rootsFile, made.cert);
    return made;
  };
  const closers: (() => Promise<unknown>)[] = [];
  const proxies: RunningProxy[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    expect(proxies.splice(0).flatMap((proxy) => proxy.bugs)).toEqual([]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const closing = <T extends { close(): Promise<unknown> }>(made: T): T => {
    closers.push(() => made.close());
    return made;
  };
  const upstream = async (options: UpstreamOptions = { kind: 'http' }): Promise<TestUpstream> =>
    closing(await makeUpstream(options));
  return {
    authority,
    get rootsFile() {
      authority();
      return rootsFile;
    },
    closing,
    upstream,
    origin: async (options) => closing(await makeOrigin(options)),
    secureOrigin: async (hosts, options = {}) =>
      closing(await makeOrigin({ certificate: authority().issue({ hosts }), ...options })),
    upstreams: (count) => Promise.all(Array.from({ length: count }, () => upstream())),
    async proxy(yaml = '', upstreams = []) {
      const proxy = closing(await startProxy(yaml, upstreams.map(urlOf)));
      proxies.push(proxy);
      return proxy;
    },
  };
};

/** A port of loopback that refuses connections. */
export const freePort = async (): Promise<number> => {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
};

/** A server that deals with bare sockets. */
export const rawServer = (serve: (socket: Socket) => void): Promise<Listening> => listen(createServer(serve));

/** Product times short enough for a test. */
export const QUICK = 'timeouts: { connect: 300ms, response: 3s, responseMin: 50ms, responseMax: 10s, drain: 200ms }\n';

export interface Expected {
  readonly dialect?: Dialect;
  readonly body?: string;
  /** Exactly this, or `undefined` for no header; absent = any number where E-08 has one. */
  readonly retryAfter?: string | RegExp;
  readonly slave?: string | undefined;
  readonly session?: string | undefined;
}

const ALIASES = ['Zyte-Error-Type', 'Zyte-Error'] as const;

const countOf = (answer: Answer, name: string): number => answer.headers.filter(([one]) => one === name).length;

/** E-01, E-02, E-07, E-08, R-01, R-06, R-07, T-09: everything an answer of ours for this condition is and is not. */
export const expectRefusal = (answer: Answer, condition: Condition, expected: Expected = {}): void => {
  const row = WIRE_ERRORS[condition];
  const { dialect = 'crawlera', body = row.message } = expected;
  expect(answer.header('X-Crawlera-Error')).toBe(row.code[dialect]);
  expect({ status: answer.status, reason: answer.reason }).toEqual({ status: row.status, reason: row.phrase });
  expect(answer.body).toBe(body);
  expect(answer.body).toMatch(/^[\x20-\x7e]{0,200}$/);
  expect(answer.header('Content-Length')).toBe(String(body.length));
  expect(answer.header('Content-Type')).toBe(body === '' ? undefined : 'text/plain');
  expect(answer.header('Transfer-Encoding')).toBeUndefined();
  expect(answer.complete).toBe(true);
  for (const name of ['X-Crawlera-Version', 'X-Crawlera-Error', 'Content-Length'])
    expect(countOf(answer, name)).toBe(1);
  expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
  const { retryAfter = 'retryAfter' in row ? /^[1-9]\d*$/ : undefined } = expected;
  const wait = answer.header('Retry-After');
  if (retryAfter instanceof RegExp) expect(wait).toMatch(retryAfter);
  else expect(wait).toBe(retryAfter);
  const aliased = condition === 'slavebanned' && dialect === 'crawlera';
  for (const name of ALIASES) expect(answer.header(name)).toBe(aliased ? 'banned' : undefined);
  expect(answer.header('Proxy-Authenticate')).toBe(condition === 'bad_auth' ? 'Basic realm="Crawlera"' : undefined);
  if ('slave' in expected) expect(answer.header('X-Crawlera-Slave')).toBe(expected.slave);
  if ('session' in expected) expect(answer.header('X-Crawlera-Session')).toBe(expected.session);
};
