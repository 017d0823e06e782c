/** Holds README.md to what the program does: its tables to the tables in the source, its commands to a run. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { CONTROL_HEADERS } from '../../src/model/controls.ts';
import { type Condition, WIRE_ERRORS, wireError } from '../../src/model/errors.ts';
import { makeAuthority } from '../support/certificates.ts';
import { makeCheckout } from '../support/checkout.ts';
import { run, start } from '../support/child.ts';
import { makeOrigin, reply } from '../support/origin.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const README = read('README.md');

const section = (title: string): string => {
  const start = README.indexOf(`\n## ${title}\n`);
  expect(start, `a section ${title}`).toBeGreaterThan(0);
  const end = README.indexOf('\n## ', start + 1);
  return README.slice(start, end < 0 ? undefined : end);
};

/** Cells of the rows of a section's table, without its two head lines. */
const rowsOf = (title: string): string[][] =>
  section(title)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

const codesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string);

describe('errors', () => {
  it('E-03 E-04 has every error with status, code in both dialects, blame and Retry-After as in WIRE_ERRORS', () => {
    const expected = (Object.keys(WIRE_ERRORS) as Condition[]).map((condition) => {
      const { status, phrase, code, blame, retryAfter } = wireError(condition);
      const spm = code.spm === code.crawlera ? '' : ` (spm: \`${code.spm}\`)`;
      return [`${status} ${phrase}`, `\`${code.crawlera}\`${spm}`, blame, retryAfter ? 'yes' : ''];
    });
    expect(rowsOf('Errors').map(([status, code, , blame, retry]) => [status, code, blame, retry])).toEqual(expected);
  });

  it('says when each of them happens, each in its own words', () => {
    const words = rowsOf('Errors').map((cells) => cells[2]);
    expect(words.every((text) => text !== undefined && text.length > 10)).toBe(true);
    expect(new Set(words).size).toBe(words.length);
  });
});

describe('control headers', () => {
  const rows = rowsOf('Control headers');

  it('H-08 H-10 H-12 has every header with its twin and plans as in CONTROL_HEADERS', () => {
    const cell = (name: string | undefined): string => (name === undefined ? '' : `\`${name}\``);
    expect(rows.map(([name, twin, , , plans]) => [name, twin, plans])).toEqual(
      CONTROL_HEADERS.map(({ name, twin, closedTo = [] }) => [
        cell(name),
        cell(twin),
        closedTo.length === 0 ? '' : `not in ${closedTo.join(', ')}`,
      ]),
    );
  });

  it('H-12 shows values that are taken, and defaults that are those of the program', () => {
    const limits = { responseMs: 30_000, responseMinMs: 30_000, responseMaxMs: 180_000, retries: 5 };
    for (const [i, header] of CONTROL_HEADERS.entries()) {
      const [, , values = '', absent = ''] = rows[i] ?? [];
      for (const value of codesIn(values).filter((one) => !one.includes('*')))
        expect(header.read(value, limits), `${header.name}: ${value}`).toBeDefined();
      const [stated] = codesIn(absent).filter((one) => !one.startsWith('X-'));
      const whenAbsent = Object.values(header.absent)[0];
      if (typeof whenAbsent === 'string' || typeof whenAbsent === 'number')
        expect(Object.values(header.read(stated ?? '', limits) ?? {})[0], header.name).toBe(whenAbsent);
    }
  });
});

describe('what works', () => {
  /** The exits of the README, as test/outbound/matrix.test.ts names them. */
  const EXITS: Readonly<Record<string, string>> = {
    'direct exit': 'direct',
    'direct exit with a source address': 'direct from',
    'http upstream, with and without credentials': 'http',
    'https upstream, with and without credentials': 'https',
    'socks5 upstream, with and without credentials': 'socks5',
  };

  it('has the exits of the matrix test, no more and no less, beside rotating gateways', () => {
    const source = read('test/outbound/matrix.test.ts');
    const list = /const cases = \(\[([^\]]+)\] as const\)/.exec(source)?.[1] ?? '';
    const kinds = [...list.matchAll(/'([^']+)'/g)].map(([, kind]) => (kind as string).replace(/ [\d.]+$/, ''));
    expect(kinds.length).toBeGreaterThan(3);
    const exits = rowsOf('What works').map(([exit = '']) => exit);
    expect(exits.filter((exit) => !exit.startsWith('rotating')).map((exit) => EXITS[exit])).toEqual(kinds);
    expect(source).toContain("['http', 'https'] as const");
    expect(source).toContain('[false, true]');
    expect(existsSync(join(ROOT, 'test/outbound/rotating.test.ts'))).toBe(true);
  });

  it('claims nothing but yes where tests say yes', () => {
    for (const [exit, ...cells] of rowsOf('What works')) expect(cells, exit).toEqual(['yes', 'yes', 'yes']);
  });
});

describe('what it points at', () => {
  const manifest = JSON.parse(read('package.json')) as {
    readonly scripts: Record<string, string>;
    readonly dependencies: Record<string, string>;
  };

  it('gives a reason for every dependency, and for none that is gone', () => {
    const named = rowsOf('Dependencies').flatMap(([names = '']) => names.split(', '));
    expect(named.sort()).toEqual(Object.keys(manifest.dependencies).sort());
  });

  it.each(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md'])('%s names files and scripts that exist', (name) => {
    const text = read(name);
    const base = join(ROOT, name, '..');
    for (const [, link] of text.matchAll(/\]\(([^)#]+)\)/g))
      if (!/^https?:/.test(link as string)) expect(existsSync(join(base, link as string)), link).toBe(true);
    const files = codesIn(text).filter((code) => /^(?:src|test|docs|config)\/[\w./-]+\.\w+$/.test(code));
    for (const file of files) expect(existsSync(join(ROOT, file)), file).toBe(true);
    for (const [, script] of text.matchAll(/npm run (\w+)/g)) expect(manifest.scripts).toHaveProperty(script as string);
  });

  it('shows a configuration that is accepted as it stands', () => {
    const yaml = /```yaml\n([\s\S]*?)```/.exec(section('Configure'))?.[1] ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'crawlgate-readme-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'crawlgate.yaml');
    writeFileSync(file, yaml);
    const loaded = loadSettings({ file, explicit: true, env: { MY_CRAWL_KEY: 'a-key' }, cwd: folder });
    expect(loaded.errors).toEqual([]);
    expect(loaded.settings?.upstreams).toHaveLength(3);
  });
});

describe('the commands of the start', () => {
  const LINES = [...section('Start').matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    (block as string).trim().split('\n'),
  );

  it('are npm for start and test, and curl for the rest', () => {
    expect(LINES.map((line) => line.split(' ')[0])).toEqual(['npm', 'curl', 'curl', 'curl', 'npm']);
    expect([LINES[0], LINES[4]]).toEqual(['npm ci && npm start', 'npm ci && npm test']);
  });

  const hasCurl = spawnSync('curl', ['--version'], { stdio: 'ignore' }).status === 0;
  if (!hasCurl) process.stderr.write('absent, not tried: curl\n');

  it.runIf(hasCurl)(
    'work as they stand, but for the port and the website',
    async () => {
      const checkout = makeCheckout();
      onTestFinished(() => checkout.remove());
      const authority = makeAuthority();
      writeFileSync(join(checkout.folder, 'roots.pem'), authority.cert);
      const plain = await makeOrigin();
      const secure = await makeOrigin({ certificate: authority.issue({ hosts: ['target.localhost'] }) });
      onTestFinished(async () => {
        await plain.close();
        await secure.close();
      });
      for (const origin of [plain, secure]) origin.fallback = [reply('192.0.2.44')];
      const config = join(checkout.folder, 'test.yaml');
      writeFileSync(config, 'targets: { allowPrivate: [127.0.0.0/8], extraRoots: ./roots.pem }\nadmin: { port: 0 }\n');
      const options = { cwd: checkout.folder, env: { CRAWLGATE_CONFIG: config, CRAWLGATE_PORT: '0' } };
      // The packages are there already: this is what `npm ci` is for.
      const proxy = start('npm', ['start'], options);
      const [, port = ''] = await proxy.says(/listening on 127\.0\.0\.1:(\d+)/);
      const key = readFileSync(join(checkout.folder, 'data/api-key'), 'utf8').trim();
      for (const line of LINES.filter((one) => one.startsWith('curl'))) {
        const authorityFor = (scheme: string): string =>
          `target.localhost:${scheme.startsWith('https') ? secure.port : plain.port}`;
        const command = line
          .replace('127.0.0.1:8010', `127.0.0.1:${port}`)
          .replace('<key>', key)
          .replace(/(https?(?::|%3A)\/\/)target\.example/, (_, scheme: string) => scheme + authorityFor(scheme))
          .replace(/^curl/, 'curl -sS --max-time 10');
        expect(command).not.toMatch(/example|8010|</);
        expect(await run('sh', ['-c', command], options), line).toMatchObject({ status: 0, out: '192.0.2.44' });
      }
      expect([plain.requests.length, secure.requests.length]).toEqual([1, 2]);
    },
    60_000,
  );
});
