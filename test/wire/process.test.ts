/** The built program as a process: first start, mistakes, signals, reload, the ways to start it. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Checkout, makeCheckout } from '../support/checkout.ts';
import { type Child, type Exit, run, start } from '../support/child.ts';
import { type Answer, basic, type Line, openLine } from '../support/client.ts';
import { makeOrigin, type Origin, reply } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { makeUpstream } from '../support/upstream.ts';

// Processes of a machine that is busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let checkout: Checkout;
let folder: string;
let file: string;

beforeAll(() => {
  checkout = makeCheckout();
});
afterAll(() => checkout.remove());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crawlgate-process-'));
  file = join(folder, 'crawlgate.yaml');
  const here = folder;
  onTestFinished(() => rmSync(here, { recursive: true, force: true }));
});

const BASE = [
  'listen: { port: 0 }',
  'admin: { port: 0 }',
  'targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535] }',
  'pacing: { siteDelay: 0ms, slaveDelay: 0ms }',
  '',
].join('\n');

const KEYS = (...ids: string[]): string =>
  `accounts:\n${ids.map((id) => `  - { id: ${id}, key: key-${id} }\n`).join('')}`;

const configure = (more = ''): void => writeFileSync(file, BASE + more);

const command = (...args: string[]): Promise<Exit> => run(process.execPath, [checkout.main, ...args], { cwd: folder });

const LISTENING = /listening on 127\.0\.0\.1:(\d+)/;

interface Served extends Child {
  readonly port: number;
}

const serve = async (
  program = process.execPath,
  args = [checkout.main, 'serve', '--config', file],
): Promise<Served> => {
  const child = start(program, args, { cwd: folder, env: { npm_config_cache: join(checkout.folder, '.cache') } });
  const [, port] = await child.says(LISTENING);
  return { ...child, port: Number(port) };
};

const target = async (): Promise<Origin> => {
  const origin = await makeOrigin();
  onTestFinished(() => origin.close());
  return origin;
};

const lineTo = async (port: number): Promise<Line> => {
  const line = await openLine(port);
  onTestFinished(() => void line.socket.destroy());
  return line;
};

const head = (url: string, key: string, more = ''): string =>
  `GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(key)}\r\n${more}\r\n`;

const ask = async (port: number, url: string, key: string, more = ''): Promise<Answer> =>
  (await lineTo(port)).ask(head(url, key, more));

/** One line that says what is wrong and what about, without a stack. */
const expectOneLine = ({ status, out, err }: Exit, ...parts: (string | RegExp)[]): void => {
  expect(status).toBe(1);
  expect(out).toBe('');
  expect(err).toMatch(/^[^\n]+\n$/);
  for (const part of parts) expect(err).toMatch(part);
  expect(err).not.toMatch(/ {4}at |Error:|node:internal/);
};

describe('the first start', () => {
  it('C-03 robustness C07 makes a key and a CA for this installation alone, and prints a line that works', async () => {
    configure();
    const origin = await target();
    const child = await serve();
    const keyFile = join(folder, 'data/api-key');
    const key = readFileSync(keyFile, 'utf8').trim();
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, 'certs/crawlera-ca.key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'certs/crawlera-ca.crt'), 'utf8')).toContain('BEGIN CERTIFICATE');
    const [first, curl, ...rest] = child.out().trimEnd().split('\n');
    expect(first).toContain(keyFile);
    expect(curl).toBe(`  curl -x 127.0.0.1:${child.port} -U ${key}: http://example.com/`);
    expect(rest).toHaveLength(1);
    expect(JSON.parse(rest[0] ?? '')).toMatchObject({ level: 'info', msg: `listening on 127.0.0.1:${child.port}` });
    expect(child.err()).toBe('');
    expect((await ask(child.port, `http://shop.localhost:${origin.port}/`, key)).status).toBe(200);
  });

  it('is the only one: the second start has the same key and CA, and prints no key', async () => {
    configure();
    const first = await serve();
    const files = ['data/api-key', 'certs/crawlera-ca.crt', 'certs/crawlera-ca.key'].map((name) => join(folder, name));
    const before = files.map((name) => readFileSync(name, 'utf8'));
    first.kill();
    expect((await first.exit).status).toBe(0);
    const second = await serve();
    expect(files.map((name) => readFileSync(name, 'utf8'))).toEqual(before);
    expect(second.out()).not.toContain((before[0] as string).trim());
    expect(second.out().trimEnd().split('\n')).toHaveLength(1);
  });

  it('robustness C08 instances that start at once on one folder of certificates end with one CA', async () => {
    configure();
    const children = await Promise.all(
      ['one', 'two', 'three'].map((name) => {
        const own = join(folder, `${name}.yaml`);
        writeFileSync(own, `${BASE}data: ${join(folder, name)}\n${KEYS('demo')}`);
        return serve(process.execPath, [checkout.main, 'serve', '--config', own]);
      }),
    );
    const pems = await Promise.all(
      children.map(async ({ port }) => (await ask(port, '/crawlera-ca.crt', 'key-demo')).body.trimEnd()),
    );
    expect(new Set(pems)).toEqual(new Set([readFileSync(join(folder, 'certs/crawlera-ca.crt'), 'utf8').trimEnd()]));
    expect(readdirSync(join(folder, 'certs')).sort()).toEqual(['crawlera-ca.crt', 'crawlera-ca.key']);
  });

  it('S-20 of instances that start at once on one data folder one serves and prints its key, the others say who it is', async () => {
    configure();
    const children = [1, 2, 3].map(() =>
      start(process.execPath, [checkout.main, 'serve', '--config', file], { cwd: folder }),
    );
    const fates = await Promise.all(
      children.map((child) => Promise.race([child.says(LISTENING).then((found) => Number(found[1])), child.exit])),
    );
    const refused = fates.filter((fate) => typeof fate === 'object');
    const [served] = children.filter((_, i) => typeof fates[i] === 'number');
    expect(refused).toHaveLength(2);
    for (const one of refused) {
      expectOneLine(one, join(folder, 'data'), new RegExp(`in use by process ${served?.process.pid} on `));
    }
    const key = readFileSync(join(folder, 'data/api-key'), 'utf8').trim();
    expect(served?.out()).toContain(`-U ${key}:`);
    served?.kill('SIGKILL');
    await served?.exit;
    expect((await serve()).out()).not.toContain(key);
  });

  it('U-01 makes no key where accounts are configured', async () => {
    configure(KEYS('a'));
    const child = await serve();
    expect(child.out()).not.toContain('curl');
    expect(existsSync(join(folder, 'data/api-key'))).toBe(false);
  });
});

describe('mistakes end in one clear line and status 1', () => {
  it('a port that is in use', async () => {
    const origin = await target();
    writeFileSync(file, `listen: { port: ${origin.port} }\n`);
    expectOneLine(await command('serve', '--config', file), `127.0.0.1:${origin.port} is in use by another program`);
  });

  it('T-21 a port for TLS that is in use; one that is free is said beside the other', async () => {
    configure();
    writeFileSync(file, readFileSync(file, 'utf8').replace('{ port: 0 }', '{ port: 0, tls: { port: 0 } }'));
    const first = await serve();
    const [, port] = await first.says(/listening on 127\.0\.0\.1:(\d+) for TLS/);
    expect(port).not.toBe(String(first.port));
    const other = join(folder, 'other.yaml');
    writeFileSync(other, readFileSync(file, 'utf8').replace('tls: { port: 0 }', `tls: { port: ${port} }`));
    mkdirSync(join(folder, 'second'));
    const { status, err } = await run(process.execPath, [checkout.main, 'serve', '--config', other], {
      cwd: join(folder, 'second'),
    });
    expect([status, err]).toEqual([1, `crawlgate: 127.0.0.1:${port} is in use by another program\n`]);
  });

  it('an address that is not of this machine', async () => {
    writeFileSync(file, 'listen: { host: 192.0.2.1, port: 0 }\n');
    expectOneLine(await command('serve', '--config', file), '192.0.2.1 is no address of this machine');
  });

  it('a configuration that is not there, or no file', async () => {
    expectOneLine(await command('serve', '--config', join(folder, 'none.yaml')), /none\.yaml.*no such file/);
    expectOneLine(await command('serve', '--config', folder), /cannot be read \(EISDIR\)/);
  });

  it('a configuration with a mistake, named with line and key', async () => {
    writeFileSync(file, 'listen:\n  prot: 8010\n');
    expectOneLine(await command('serve', '--config', file), /crawlgate\.yaml:2: listen\.prot: .*did you mean port/);
  });

  it('C07 a CA key that others can read', async () => {
    configure();
    await command('ca', 'fingerprint', '--config', file);
    chmodSync(join(folder, 'certs/crawlera-ca.key'), 0o644);
    expectOneLine(await command('serve', '--config', file), /crawlera-ca\.key.*chmod 600/);
  });

  it('a data folder that cannot be made', async () => {
    configure();
    writeFileSync(join(folder, 'data'), 'a file');
    expectOneLine(await command('serve', '--config', file), /data/);
  });

  it('roots that are none', async () => {
    writeFileSync(join(folder, 'roots.pem'), 'nothing');
    writeFileSync(file, `listen: { port: 0 }\ntargets: { extraRoots: ${join(folder, 'roots.pem')} }\n`);
    expectOneLine(await command('serve', '--config', file), /extraRoots.*no certificate/);
  });
});

describe('the other commands', () => {
  it('check-config says OK and what it comes to, and makes nothing', async () => {
    configure(KEYS('a', 'b'));
    const { status, out, err } = await command('check-config', '--config', file);
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^OK\nlisten: /);
    expect(out).toContain('accounts: a (enterprise), b (enterprise)');
    expect(out).not.toContain('key-a');
    expect(readdirSync(folder)).toEqual(['crawlgate.yaml']);
  });

  it('check-config names every mistake at once, on standard error', async () => {
    writeFileSync(file, 'workers: none\nlisten: { port: 99999 }\nnonsense: 1\n');
    const { status, out, err } = await command('check-config', '-c', file);
    expect([status, out]).toEqual([1, '']);
    expect(err.trimEnd().split('\n')).toHaveLength(3);
  });

  it('C-05 ca prints, exports, shows and renews the CA of the configured folder', async () => {
    configure();
    const config = ['--config', file];
    const printed = await command('ca', 'print', ...config);
    expect(printed.out).toContain('BEGIN CERTIFICATE');
    const exported = join(folder, 'exported.crt');
    expect((await command('ca', 'export', exported, ...config)).status).toBe(0);
    expect(readFileSync(exported, 'utf8')).toBe(printed.out);
    const before = await command('ca', 'fingerprint', ...config);
    expect(before.out).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}\n$/);
    expect((await command('ca', 'renew', ...config)).status).toBe(0);
    expect((await command('ca', 'fingerprint', ...config)).out).not.toBe(before.out);
    expect((await command('ca', 'nonsense', ...config)).status).toBe(2);
  });

  it.each([[['nonsense']], [[]]])('answers %j with status 2 and a hint', async (args) => {
    const { status, out, err } = await command(...args);
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/^crawlgate: .+\nTry: crawlgate --help\n$/);
  });

  it('--help and --version go to standard output', async () => {
    expect(await command('--help')).toMatchObject({ status: 0, err: '', out: expect.stringContaining('check-config') });
    const { version } = JSON.parse(readFileSync(join(checkout.folder, 'package.json'), 'utf8')) as { version: string };
    expect(await command('--version')).toMatchObject({ status: 0, err: '', out: `${version}\n` });
  });
});

describe('SIGTERM (robustness G13)', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'robustness G13 %s lets a running request finish, accepts nothing more, closes idle tunnels at once and exits 0',
    async (signal) => {
      configure(KEYS('a'));
      const origin = await target();
      const child = await serve();
      let release = (): void => {};
      origin.enqueue(
        'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf',
        { until: new Promise<void>((done) => (release = done)) },
        'done',
      );
      const running = ask(child.port, `http://shop.localhost:${origin.port}/`, 'key-a');
      await until(() => origin.requests.length === 1, 'the request at the target');
      const tunnel = await lineTo(child.port);
      await tunnel.ask(`CONNECT shop.localhost:443 HTTP/1.1\r\nProxy-Authorization: ${basic('key-a')}\r\n\r\n`);
      const idle = await lineTo(child.port);
      expect((await idle.ask('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(200);
      child.kill(signal);
      await tunnel.closed;
      await idle.closed;
      expect(child.process.exitCode).toBeNull();
      const refused = connect(child.port, '127.0.0.1');
      await expect(
        new Promise((resolve, reject) => refused.on('connect', resolve).on('error', reject)),
      ).rejects.toThrow(/ECONNREFUSED/);
      release();
      const answer = await running;
      expect([answer.status, answer.body, answer.complete]).toEqual([200, 'halfdone', true]);
      expect(await child.exit).toMatchObject({ status: 0, signal: null });
      expect(child.out()).toContain(`${signal}: finishing what is running`);
    },
  );

  it('robustness G13 T-20 closes a kept connection once the answer begun before is sent', async () => {
    configure(`${KEYS('a')}timeouts: { drain: 20s }\n`);
    const origin = await target();
    const child = await serve();
    let release = (): void => {};
    origin.enqueue(
      'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf',
      { until: new Promise<void>((done) => (release = done)) },
      'done',
    );
    const line = await lineTo(child.port);
    line.write(head(`http://shop.localhost:${origin.port}/`, 'key-a'));
    await until(() => line.rest().endsWith('half'), 'the first half');
    child.kill();
    await child.says(/finishing what is running/);
    release();
    const answer = await line.read();
    expect([answer.body, answer.complete, answer.header('Connection')]).toEqual(['halfdone', true, 'keep-alive']);
    await line.closed;
    expect(await child.exit).toMatchObject({ status: 0, signal: null });
  });

  it('robustness G13 cuts what takes longer than timeouts.drain, and exits 0 all the same', async () => {
    configure(`${KEYS('a')}timeouts: { drain: 100ms }\n`);
    const origin = await target();
    origin.fallback = ['hang'];
    const child = await serve();
    const line = await lineTo(child.port);
    line.write(head(`http://shop.localhost:${origin.port}/`, 'key-a'));
    await until(() => origin.requests.length === 1, 'the request at the target');
    child.kill();
    await line.closed;
    expect(await child.exit).toMatchObject({ status: 0, signal: null });
  });

  it('a second one does not wait', async () => {
    configure(KEYS('a'));
    const origin = await target();
    origin.fallback = ['hang'];
    const child = await serve();
    const line = await lineTo(child.port);
    line.write(head(`http://shop.localhost:${origin.port}/`, 'key-a'));
    await until(() => origin.requests.length === 1, 'the request at the target');
    child.kill();
    await child.says(/finishing what is running/);
    child.kill();
    expect(await child.exit).toMatchObject({ status: 1 });
  });
});

describe('reload', () => {
  it('robustness G13 SIGHUP takes accounts, websites and upstreams over and drops no request', async () => {
    configure(KEYS('a'));
    const origin = await target();
    const upstream = await makeUpstream({ kind: 'http' });
    onTestFinished(() => upstream.close());
    const site = `http://shop.localhost:${origin.port}/`;
    const child = await serve();
    let release = (): void => {};
    origin.enqueue({ until: new Promise<void>((done) => (release = done)) }, reply('slow'));
    const running = ask(child.port, site, 'key-a');
    await until(() => origin.requests.length === 1, 'the request at the target');
    const line = await lineTo(child.port);
    expect((await line.ask(head(site, 'key-a'))).header('X-Crawlera-Slave')).toBe('127.0.0.1:0');
    expect((await ask(child.port, site, 'key-b')).status).toBe(407);

    configure(
      `${KEYS('b')}upstreams: [{ url: "http://127.0.0.1:${upstream.port}" }]\nwebsites: { evil.localhost: { forbidden: true } }\n`,
    );
    child.kill('SIGHUP');
    await child.says(/configuration reloaded/);
    expect((await line.ask(head(site, 'key-b'))).header('X-Crawlera-Slave')).toBe(`127.0.0.1:${upstream.port}`);
    expect((await line.ask(head(site, 'key-a'))).status).toBe(407);
    expect((await line.ask(head('http://evil.localhost/', 'key-b'))).status).toBe(523);
    release();
    const answer = await running;
    expect([answer.status, answer.body]).toEqual([200, 'slow']);
  });

  it('a broken file leaves the old configuration running and says what is wrong, without a value of it', async () => {
    configure(KEYS('a'));
    const child = await serve();
    writeFileSync(file, 'accounts:\n  - { id: a, key: "broken-secret", plan: gold }\n  bad: [\n');
    child.kill('SIGHUP');
    await child.says(/"msg":"the configuration was not reloaded[^\n]*\n/);
    expect(child.out()).not.toContain('broken-secret');
    expect(child.out()).toMatch(/crawlgate\.yaml:\d/);
    const line = await lineTo(child.port);
    expect((await line.ask(head('/nothing', 'key-a'))).status).toBe(404);
    rmSync(file);
    const said = child.out().length;
    child.kill('SIGHUP');
    await child.says(/not reloaded/, said);
    expect((await line.ask(head('/nothing', 'key-a'))).status).toBe(404);
    configure(KEYS('c'));
    child.kill('SIGHUP');
    await child.says(/configuration reloaded/, said);
    expect((await line.ask(head('/nothing', 'key-c'))).status).toBe(404);
  });

  it('a changed file is read again by itself, whether written in place or moved there', async () => {
    configure(KEYS('a'));
    const child = await serve();
    const line = await lineTo(child.port);
    configure(KEYS('b'));
    await child.says(/configuration reloaded/);
    expect((await line.ask(head('/nothing', 'key-b'))).status).toBe(404);
    const next = join(folder, 'next.yaml');
    writeFileSync(next, BASE + KEYS('c'));
    const said = child.out().length;
    renameSync(next, file);
    await child.says(/configuration reloaded/, said);
    expect((await line.ask(head('/nothing', 'key-c'))).status).toBe(404);
  });

  it('C-05 takes a renewed CA over, and a level of the log', async () => {
    configure(KEYS('a'));
    const child = await serve();
    const before = (await ask(child.port, '/crawlera-ca.crt', 'key-a')).body;
    expect((await command('ca', 'renew', '--config', file)).status).toBe(0);
    configure(`${KEYS('a')}log: { level: debug }\n`);
    child.kill('SIGHUP');
    await child.says(/configuration reloaded/);
    const after = (await ask(child.port, '/crawlera-ca.crt', 'key-a')).body;
    expect(after).not.toBe(before);
    expect(after.startsWith(readFileSync(join(folder, 'certs/crawlera-ca.crt'), 'utf8').trimEnd())).toBe(true);
  });

  it('a CA folder that has become unusable leaves everything as it was', async () => {
    configure(KEYS('a'));
    const child = await serve();
    chmodSync(join(folder, 'certs/crawlera-ca.key'), 0o644);
    configure(KEYS('b'));
    child.kill('SIGHUP');
    await child.says(/not reloaded[^\n]*\n/);
    expect(child.out()).toContain('chmod 600');
    expect((await ask(child.port, '/nothing', 'key-a')).status).toBe(404);
  });
});

describe('the ways to start it in a checkout', () => {
  it.each([
    ['npm start -- --config FILE', 'npm', ['--prefix', '<checkout>', 'start', '--', '--config', '<file>']],
    ['npx crawlgate serve --config FILE', 'npx', ['crawlgate', 'serve', '--config', '<file>']],
    ['the program itself', '<checkout>/dist/main.js', ['serve', '--config', '<file>']],
  ])('%s serves, and stops at SIGTERM', async (_what, program, args) => {
    configure(KEYS('a'));
    mkdirSync(join(folder, 'data'));
    const fill = (text: string): string => text.replace('<checkout>', checkout.folder).replace('<file>', file);
    const child = start(fill(program), args.map(fill), {
      cwd: checkout.folder,
      env: { npm_config_cache: join(checkout.folder, '.cache'), npm_config_update_notifier: 'false' },
    });
    const [, port] = await child.says(LISTENING);
    expect((await ask(Number(port), '/', 'key-a')).status).toBe(200);
    // As a terminal would: to the whole group.
    process.kill(-(child.process.pid as number), 'SIGTERM');
    await child.exit;
    expect(child.out()).toContain('SIGTERM: finishing what is running');
  });

  it('CRAWLGATE_CONFIG, CRAWLGATE_PORT and CRAWLGATE_API_KEY stand in for file and keys', async () => {
    writeFileSync(file, 'admin: { port: 0 }\n');
    const child = start(process.execPath, [checkout.main, 'serve'], {
      cwd: folder,
      env: { CRAWLGATE_CONFIG: file, CRAWLGATE_PORT: '0', CRAWLGATE_API_KEY: 'from-the-environment' },
    });
    const [, port] = await child.says(LISTENING);
    expect((await ask(Number(port), '/nothing', 'from-the-environment')).status).toBe(404);
    expect(child.out()).not.toContain('from-the-environment');
  });
});
