/** A hunt for canaries: every secret there is, driven through every kind of answer, failure and mistake; none may come out (robustness C07, C09, C11). */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Checkout, makeCheckout } from '../support/checkout.ts';
import { type Child, type Exit, run, start } from '../support/child.ts';
import { basic, openLine } from '../support/client.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { makeUpstream } from '../support/upstream.ts';
import { freePort } from './errors-kit.ts';

// Processes of a machine that is busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let checkout: Checkout;

beforeAll(() => {
  checkout = makeCheckout();
});
afterAll(() => checkout.remove());

/** Unmistakable, and different in every encoding it may turn up in. */
const CANARIES = {
  key: 'canary-key-7f3a9',
  otherKey: 'canary-other-key-51c',
  wrongKey: 'canary-wrong-key-88d',
  firstKey: 'canary-first-key-0e2',
  adminKey: 'canary-admin-key-b64',
  password: 'canary-upstream-password-19c',
  socksPassword: 'canary-socks-password-c07',
  cookie: 'canary-cookie-d31',
  setCookie: 'canary-set-cookie-2ab',
  authorization: 'canary-authorization-f90',
  query: 'canary-query-token-6e6',
  path: 'canary-path-token-3d3',
  userinfo: 'canary-userinfo-aa1',
  header: 'canary-header-value-4c4',
  body: 'canary-body-5b5',
  bug: 'canary-bug-password-e7e',
  config: 'canary-config-value-919',
} as const;

const encodingsOf = (secret: string): string[] => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(`${secret}:`).toString('base64').replace(/=+$/, ''),
  Buffer.from(`user:${secret}`).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('hex'),
  encodeURIComponent(secret).replaceAll('-', '%2D'),
];

/** Names of the canaries found, rather than the whole text. */
const found = (text: string): string[] =>
  Object.entries(CANARIES).flatMap(([name, secret]) =>
    encodingsOf(secret).some((form) => text.toLowerCase().includes(form.toLowerCase())) ? [name] : [],
  );

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-secrets-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

/** Makes the exchange stumble over its own random numbers once SIGUSR2 has come: a bug with secrets in its message. */
const BUG = `
const real = Math.random;
let broken = false;
process.on('SIGUSR2', () => { broken = true; process.stdout.write('broken now\\n'); });
Math.random = () => {
  if (!broken) return real();
  const cause = new Error('Proxy-Authorization: Basic ${Buffer.from(`user:${CANARIES.bug}`).toString('base64')}');
  throw Object.assign(new Error('cannot use http://user:${CANARIES.bug}@192.0.2.1:3128/?token=${CANARIES.query}', { cause }), {
    config: { password: '${CANARIES.password}' }, request: { headers: { cookie: '${CANARIES.cookie}' } },
  });
};
`;

const LISTENING = /listening on 127\.0\.0\.1:(\d+)/;

interface Stage {
  readonly child: Child;
  readonly folder: string;
  readonly file: string;
  /** Everything a client got. */
  readonly answers: string[];
  send(text: string): Promise<void>;
}

const BASE = [
  'listen: { port: 0 }',
  'admin: { port: 0, key: env:ADMIN_KEY }',
  'log: { level: trace }',
  'pacing: { siteDelay: 0ms, slaveDelay: 0ms }',
  'timeouts: { connect: 200ms, response: 300ms, responseMin: 50ms, responseMax: 1s, drain: 200ms }',
  'targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535] }',
  'accounts:',
  `  - { id: test, key: ${CANARIES.key}, maxSessions: 1 }`,
  '  - { id: cheap, key: "file:cheap-key", plan: c10, maxConnections: 1 }',
  '',
].join('\n');

const stage = async (more: string): Promise<Stage> => {
  const folder = makeFolder();
  const file = join(folder, 'crawlgate.yaml');
  writeFileSync(file, BASE + more);
  writeFileSync(join(folder, 'cheap-key'), `${CANARIES.otherKey}\n`);
  writeFileSync(join(folder, 'bug.mjs'), BUG);
  const child = start(process.execPath, ['--import', join(folder, 'bug.mjs'), checkout.main, 'serve', '-c', file], {
    cwd: folder,
    env: { ADMIN_KEY: CANARIES.adminKey },
  });
  const [, port] = await child.says(LISTENING);
  const answers: string[] = [];
  return {
    child,
    folder,
    file,
    answers,
    async send(text) {
      const line = await openLine(Number(port));
      const method = /^\S+/.exec(text)?.[0];
      line.write(text);
      const answer = await line.read(method).catch(() => undefined);
      if (answer) answers.push(answer.raw);
      line.socket.destroy();
    },
  };
};

const stop = async ({ child }: Stage): Promise<string> => {
  child.kill();
  const { status, out, err } = await child.exit;
  expect(status).toBe(0);
  return out + err;
};

/** What a client may hold: all of it secret. */
const SECRETS = [
  `Cookie: sid=${CANARIES.cookie}`,
  `Authorization: Bearer ${CANARIES.authorization}`,
  `X-Api-Key: ${CANARIES.header}`,
  `Referer: http://u:${CANARIES.userinfo}@a.example/?t=${CANARIES.query}`,
  '',
].join('\r\n');

const request = (url: string, key: string, more = '', method = 'GET', body = ''): string =>
  `${method} ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(key)}\r\n${SECRETS}${more}\r\n${body}`;

const place = (authority: string): string =>
  `http://user:${CANARIES.userinfo}@${authority}/${CANARIES.path}?token=${CANARIES.query}`;

const endpoint = (method: string, path: string, key: string): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(key)}\r\nCookie: ${CANARIES.cookie}\r\n\r\n`;

/** Requests for every kind of answer that needs no upstream proxy. */
const everyAnswer = (origin: Origin, dead: number): string[] => {
  const site = place(`shop.localhost:${origin.port}`);
  const { key, otherKey, wrongKey } = CANARIES;
  return [
    request(site, key),
    request(site, key, `Content-Length: ${CANARIES.body.length}\r\n`, 'POST', CANARIES.body),
    request(site, wrongKey),
    request(place('x.example'), key, 'Host: two\r\n'),
    request(`ftp://${CANARIES.userinfo}@x/${CANARIES.path}`, key),
    request(`http://${CANARIES.path}..bad/`, key),
    request(site, otherKey, `X-Crawlera-UA: ${CANARIES.header}\r\n`),
    request(site, key, `X-Crawlera-UA: ${CANARIES.header}\r\n`),
    request(site, key, `X-Crawlera-Timeout: ${CANARIES.header}\r\n`),
    request(place('10.0.0.1'), key),
    request(place(`shop.localhost:${dead}`), key),
    request(place('no-such-name.invalid'), key),
    request(site, key, 'X-Crawlera-Session: 1234567\r\n'),
    request(site, key, 'X-Crawlera-Session: create\r\nX-Crawlera-Debug: ua,request-time,attempts\r\n'),
    request(site, key, 'X-Crawlera-Session: create\r\n'),
    request(site, key, 'X-Crawlera-Region: fr\r\n'),
    request(site, `${key}-session-a`),
    request(site, key, 'Connection: Upgrade\r\nUpgrade: websocket\r\n', 'POST'),
    request(site, key, `X-Long: ${CANARIES.header.repeat(6_000)}\r\n`),
    request(site, key, 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 'POST'),
    `GET ${site} HTTP/1.1\r\nHost: x\r\nbad header ${CANARIES.header}: 1\r\nProxy-Authorization: ${basic(key)}\r\n\r\n`,
    `\x16\x03\x01 ${CANARIES.header}\r\n\r\n`,
    `CONNECT ${CANARIES.userinfo}@x HTTP/1.1\r\nProxy-Authorization: ${basic(key)}\r\n${SECRETS}\r\n`,
    `CONNECT x:443 HTTP/1.1\r\nProxy-Authorization: ${basic(wrongKey)}\r\n${SECRETS}\r\n`,
    endpoint('GET', '/', key),
    endpoint('GET', `/${CANARIES.path}?${CANARIES.query}`, key),
    endpoint('GET', '/sessions', wrongKey),
    endpoint('GET', '/sessions', key),
    endpoint('POST', '/sessions', key),
    endpoint('PUT', `/sessions?${CANARIES.query}`, key),
    endpoint('GET', `/fetch?url=${encodeURIComponent(site)}&headers=X-A:${CANARIES.header}`, key),
    endpoint('GET', `/fetch?url=${CANARIES.query}`, key),
    endpoint('GET', '/crawlera-ca.crt', key),
    endpoint('GET', '/crawlera-ca.key', key),
  ];
};

const BAN = `HTTP/1.1 503 Busy\r\nSet-Cookie: a=${CANARIES.setCookie}\r\nContent-Length: 3\r\n\r\nban`;

/** Behaviour of a target, one request each. */
const BEHAVIOURS: readonly string[] = [
  BAN,
  'hang',
  'reset',
  'close',
  `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nSet-Cookie: ${CANARIES.setCookie}\r\n\r\nhello`,
  `HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nX-Secret: ${CANARIES.setCookie}\r\n\r\n`,
  `NONSENSE ${CANARIES.setCookie}\r\n\r\n`,
];

const origin = async (): Promise<Origin> => {
  const made = await makeOrigin();
  onTestFinished(() => made.close());
  return made;
};

/** The two lines of the file that hold the private number; the third is the public key, which every certificate shows. */
const caKeyLines = (folder: string): string[] =>
  readFileSync(join(folder, 'certs/crawlera-ca.key'), 'utf8').split('\n').slice(1, 3);

const expectClean = (log: string, answers: readonly string[], folder: string): void => {
  expect(found(log), 'in the log').toEqual([]);
  expect(found(answers.join('\n')), 'in an answer').toEqual([]);
  for (const line of caKeyLines(folder)) expect(log + answers.join('\n')).not.toContain(line);
};

/** Statuses of the answers, to see that what was meant was reached. */
const statusesOf = (answers: readonly string[]): number[] => [
  ...new Set(answers.map((raw) => Number(raw.slice(9, 12)))),
];

describe('no canary comes out', () => {
  it('robustness C09 C11 U-10 of any answer, refusal or target failure, at the most talkative level of the log', async () => {
    const here = await stage('');
    const site = await origin();
    for (const text of everyAnswer(site, await freePort())) await here.send(text);
    for (const behaviour of BEHAVIOURS) {
      site.fallback = [behaviour];
      await here.send(request(place(`shop.localhost:${site.port}`), CANARIES.key, 'X-Crawlera-Max-Retries: 1\r\n'));
    }
    const log = await stop(here);
    expectClean(log, here.answers, here.folder);
    const seen = statusesOf(here.answers);
    for (const status of [200, 400, 404, 405, 407, 413, 470, 501, 502, 503, 504, 523, 540, 541])
      expect(seen).toContain(status);
    // The log told of all of it.
    expect(log.split('\n').filter((line) => line.includes('"msg":"request"')).length).toBeGreaterThan(35);
    expect(site.received()).toContain(CANARIES.setCookie);
  });

  it('robustness C02 C09 C11 of an upstream that refuses, resets, is silent or wants another password', async () => {
    const site = await origin();
    const upstreams = [
      await makeUpstream({ kind: 'http', username: 'user', password: 'another' }),
      await makeUpstream({ kind: 'socks5', username: 'user', password: 'another' }),
      await makeUpstream({ kind: 'http' }),
      await makeUpstream({ kind: 'http' }),
    ];
    onTestFinished(async () => {
      for (const one of upstreams) await one.close();
    });
    const [wants, socks, resets, echoes] = upstreams as [(typeof upstreams)[0], ...typeof upstreams];
    if (resets) resets.misbehaviour = { cut: 'reset' };
    const talk = `HTTP/1.1 502 ${CANARIES.setCookie}\r\nX-Squid-Error: ERR_${CANARIES.header} 111\r\nContent-Length: 0\r\n\r\n`;
    if (echoes) echoes.misbehaviour = { reply: talk };
    const login = `user:${CANARIES.password}`;
    const urls = [
      `http://${login}@127.0.0.1:${wants.port}`,
      `socks5://user:${CANARIES.socksPassword}@127.0.0.1:${socks?.port}`,
      `http://${login}@127.0.0.1:${resets?.port}`,
      `http://${login}@127.0.0.1:${await freePort()}`,
      `http://${login}@no-such-name.invalid:3128`,
      `https://${login}@127.0.0.1:${echoes?.port}`,
      `http://${login}@127.0.0.1:${echoes?.port}`,
    ];
    const here = await stage(`upstreams:\n${urls.map((url) => `  - url: "${url}"\n`).join('')}`);
    for (let i = 0; i < 4; i++) {
      await here.send(request(place(`shop.localhost:${site.port}`), CANARIES.key));
      await here.send(request(place(`shop.localhost:${site.port}`).replace('http:', 'https:'), CANARIES.key));
    }
    const log = await stop(here);
    expectClean(log, here.answers, here.folder);
    expect(wants.logins).toContain(login);
    expect(log).toContain(`127.0.0.1:${wants.port}`);
    for (const status of statusesOf(here.answers)) expect([502, 503]).toContain(status);
  });

  it('robustness C11 of a bug whose message and fields are full of them', async () => {
    const here = await stage('');
    const site = await origin();
    here.child.kill('SIGUSR2');
    await here.child.says(/broken now/);
    await here.send(request(place(`shop.localhost:${site.port}`), CANARIES.key));
    const log = await stop(here);
    expect(here.answers[0]).toMatch(/^HTTP\/1\.1 500 /);
    expect(log).toContain('"msg":"bug"');
    expect(log).toContain('cannot use http://');
    expectClean(log, here.answers, here.folder);
  });

  it('robustness C11 of a configuration with mistakes, at start, on reload and in check-config', async () => {
    const secret = CANARIES.config;
    const broken = [
      `accounts: [{ id: "${secret} x", key: "${secret}" }]`,
      `accounts: [{ key: "${secret}", plan: "${secret}", ${secret}: 1 }]`,
      `accounts: { ${secret}: ${secret} }`,
      `upstreams: [{ url: "http://u:${secret}@:99999/" }]`,
      `upstreams: [{ url: "${secret}" }]`,
      `upstreams: [{ url: "gopher://u:${secret}@192.0.2.1:80" }]`,
      `store: "redis://:${secret}@no host"`,
      `admin: { key: "${secret} ${secret}\\n" }`,
      `admin: ${secret}`,
      `${secret}: ${secret}`,
      `accounts: [{ id: a, key: ${secret}\n`,
      `accounts: *${secret}`,
      `data: file:/no/such/${CANARIES.path}`.replace(CANARIES.path, 'place'),
    ];
    const here = await stage('');
    const outputs: Exit[] = [];
    for (const [i, text] of broken.entries()) {
      writeFileSync(here.file, text);
      const said = here.child.out().length;
      here.child.kill('SIGHUP');
      await here.child.says(/not reloaded[^\n]*\n/, said);
      // The same reader for all of them: a few as processes are enough.
      if (i % 4 === 0)
        for (const command of ['serve', 'check-config'])
          outputs.push(await run(process.execPath, [checkout.main, command, '-c', here.file], { cwd: here.folder }));
    }
    expect(outputs.map(({ status }) => status)).toEqual(outputs.map(() => 1));
    expect(found(outputs.map(({ out, err }) => out + err).join('\n'))).toEqual([]);
    expectClean(await stop(here), here.answers, here.folder);
  });

  it('robustness C11 of the first key once it is kept, and of check-config of a good file', async () => {
    const folder = makeFolder();
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data/api-key'), `${CANARIES.firstKey}\n`, { mode: 0o600 });
    const file = join(folder, 'crawlgate.yaml');
    const text = BASE.replace(/accounts:[\s\S]*$/, '');
    writeFileSync(file, `${text}upstreams: [{ url: "http://user:${CANARIES.password}@192.0.2.1:3128" }]\n`);
    const options = { cwd: folder, env: { ADMIN_KEY: CANARIES.adminKey } };
    const checked = await run(process.execPath, [checkout.main, 'check-config', '-c', file], options);
    expect(checked.status).toBe(0);
    const child = start(process.execPath, [checkout.main, 'serve', '-c', file], options);
    const [, port] = await child.says(LISTENING);
    const line = await openLine(Number(port));
    const known = await line.ask(endpoint('GET', '/sessions', CANARIES.firstKey));
    expect(known.status).toBe(200);
    const wrong = await line.ask(endpoint('GET', '/sessions', CANARIES.wrongKey));
    line.socket.destroy();
    child.kill();
    const { out, err } = await child.exit;
    expect(found([checked.out, checked.err, out, err, known.raw, wrong.raw].join('\n'))).toEqual([]);
    // Nothing but the file it was put into holds it.
    for (const name of readdirSync(join(folder, 'data')))
      if (name !== 'api-key') expect(found(readFileSync(join(folder, 'data', name), 'latin1'))).toEqual([]);
  });

  it('a canary that does come out is noticed', () => {
    for (const [name, secret] of Object.entries(CANARIES)) {
      expect(found(`x ${secret} y`)).toEqual([name]);
      expect(found(basic(secret))).toContain(name);
      expect(found(basic('user', secret))).toContain(name);
    }
  });
});
