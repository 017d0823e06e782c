import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/cli/check-config.ts';
import { runRules } from '../../src/cli/rules.ts';

const cwd = mkdtempSync(join(tmpdir(), 'crawlgate-rules-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const file = (name: string, content: string | Buffer): string => {
  writeFileSync(join(cwd, name), content);
  return name;
};

const run = (...words: string[]) => {
  const out: string[] = [];
  const err: string[] = [];
  const config = file('c.yaml', 'bans: { rules: ./own.yaml }');
  const status = runRules(words, {
    config,
    env: {},
    cwd,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
  });
  return { status, out, err };
};

const OWN = `version: 1
rules:
  - id: mine
    vendor: me
    when: { status: 200, body: { contains_any: [go away robot] } }
    tests:
      match:
        - |
          GET https://shop.example/p
          HTTP/1.1 200 OK
          Content-Type: text/html

          Go away, robot? Go away robot!
      no_match: "HTTP/1.1 200 OK\\nContent-Type: text/html\\n\\nwelcome robot"
  - { id: status-999, enabled: false }
`;
file('own.yaml', OWN);

describe('rules test', () => {
  it('runs the tests the rules carry', () => {
    expect(run('test', 'own.yaml')).toEqual({ status: 0, out: ['2 own rules, 2 tests, 0 failed'], err: [] });
  });

  it('tells which of them fail, and its status says so', () => {
    file(
      'wrong.yaml',
      OWN.replace('welcome robot', 'go away robot').replace('Go away, robot? Go away robot!', 'hello'),
    );
    expect(run('test', 'wrong.yaml')).toEqual({
      status: 1,
      out: ['FAIL mine: match[0] does not match', 'FAIL mine: no_match[0] matches', '2 own rules, 2 tests, 2 failed'],
      err: [],
    });
  });

  it('tells every mistake of a file', () => {
    file('broken.yaml', 'version: 1\nrules:\n  - { id: X }\n  - { id: y }\n');
    const { status, out, err } = run('test', 'broken.yaml');
    expect([status, out]).toEqual([1, []]);
    expect(err).toHaveLength(2);
    expect(err[0]).toMatch(/^broken\.yaml:3: rules\[0\]\.id: /);
  });

  it('judges a saved response by all rules', () => {
    const response = file('r.http', 'HTTP/2 200\r\ncontent-type: text/html\r\n\r\ngo away robot');
    expect(run('test', 'own.yaml', '--response', response)).toEqual({ status: 0, out: ['ban: mine (me)'], err: [] });
    const limited = file('l.http', 'HTTP/1.1 429 Too Many Requests\n\n');
    expect(run('test', 'own.yaml', '--response', limited).out).toEqual(['throttle: status-429 (any)']);
    const fine = file('f.http', 'HTTP/1.1 200 OK\ncontent-type: text/html\n\nhello');
    expect(run('test', 'own.yaml', '--response', fine).out).toEqual(['an answer: no rule makes it a ban']);
    const blank = file('b.http', 'HTTP/1.1 200 OK\ncontent-type: text/html\n\n');
    expect(run('test', 'own.yaml', '--response', blank).out).toEqual([
      'an answer: no rule makes it a ban',
      'suspect: empty-200-html (any)',
    ]);
  });

  it('takes URL and method from the words, the heads of proxies away, and bodies packed or not', () => {
    const redirect = file('g.http', 'HTTP/1.1 302 Found\nLocation: /sorry/index\n\n');
    expect(run('test', 'own.yaml', '--response', redirect).out).toEqual(['an answer: no rule makes it a ban']);
    const url = ['--url', 'https://www.google.com/search'];
    expect(run('test', 'own.yaml', '--response', redirect, ...url).out).toEqual([
      'ban: google-sorry-redirect (google)',
    ]);

    const head =
      'HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n';
    const packed = file('p.http', Buffer.concat([Buffer.from(head), gzipSync('go away robot')]));
    expect(run('test', 'own.yaml', '--response', packed).out).toEqual(['ban: mine (me)']);
    expect(run('test', 'own.yaml', '--response', packed, '--method', 'HEAD').out).toEqual([
      'an answer: no rule makes it a ban',
    ]);
    const unpacked = file('u.http', `${head}go away robot`);
    expect(run('test', 'own.yaml', '--response', unpacked).out).toEqual(['ban: mine (me)']);
  });

  it.each<[string, string[], RegExp]>([
    ['a response that is not there', ['--response', 'none.http'], /^none\.http: cannot be read \(ENOENT\)$/],
    ['a file that is no response', ['--response', 'own.yaml'], /^own\.yaml: no status line$/],
    ['a URL that is none', ['--response', 'r.http', '--url', 'shop.example'], /^--url: expected http/],
    ['a URL that is none after all', ['--response', 'r.http', '--url', 'http://['], /^--url: this is no URL$/],
  ])('says clearly what is wrong with %s', (_, words, message) => {
    const { status, err } = run('test', 'own.yaml', ...words);
    expect(status).toBe(1);
    expect(err.join()).toMatch(message);
  });
});

describe('rules list', () => {
  it('shows every rule in order, what is off and what is own', () => {
    const { status, out, err } = run('list');
    expect([status, err]).toEqual([0, []]);
    expect(out[0]).toMatch(/^mine +ban +me +\* {2}own$/);
    expect(out).toContainEqual(expect.stringMatching(/^status-999 +off \(ban\) +any +\* {2}own$/));
    expect(out).toContainEqual(expect.stringMatching(/^google-sorry-redirect +ban +google +google\.\*$/));
    expect(out.at(-1)).toMatch(/^status-403-html /);
  });

  it('shows the mistakes of the configured file', () => {
    file('own.yaml', 'version: 1\nrules: 3\n');
    const { status, err } = run('list');
    file('own.yaml', OWN);
    expect(status).toBe(1);
    expect(err.join()).toContain('own.yaml:2: rules: expected a list of rules');
  });
});

describe('words that make no sense', () => {
  it.each([[[]], [['show']], [['test']], [['list', 'x']], [['test', 'a', 'b']], [['test', 'a', '--what']]])(
    '%j is answered with how it is used',
    (words) => {
      const { status, out, err } = run(...words);
      expect([status, out]).toEqual([2, []]);
      expect(err[0]).toContain('crawlgate rules list');
    },
  );
});

describe('check-config', () => {
  it('tells the mistakes of the rules file too', () => {
    file('broken.yaml', 'version: 1\nrules:\n  - { id: X }\n');
    const config = file('k.yaml', 'bans: { rules: ./broken.yaml }');
    const err: string[] = [];
    const status = checkConfig({ config, env: {}, cwd, out: () => undefined, err: (line) => err.push(line) });
    expect(status).toBe(1);
    expect(err.join()).toMatch(/broken\.yaml:3: rules\[0\]\.id/);
  });
});
