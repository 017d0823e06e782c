import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { makeLoader } from './support.ts';

const { cwd, load } = makeLoader();

const errorsOf = (text: string): readonly string[] => load(text).errors;

describe('a wrong configuration', () => {
  it('names file, line and path of everything that is wrong, all at once', () => {
    const text = `listen:
  prot: 8010
  port: 70000
accounts:
  - id: demo
    key: 0123abcd
    plan: c20
    defaults: { X-Crawlera-Cookies: disable, Foo: 1, x-crawlera-cookies: 2 }
  - id: demo
    key: 12345
  - { id: x }
upstreams:
  - url: http://user:p%@h:9
  - url: http://{session}:p@h:9
  - { list: x, region: us }
  - { url: 'http://h', every: 1m, weight: 0, region: usa }
  - { url: 'http://h:80' }
websites:
  "*.foo.example": { siteDelay: 5 }
  FOO.example: {}
  foo.example: {}
timeouts: { responseMin: 200s, drain: x }
workers: 4
bans: { rules: nix.yaml }
admin: { port: 8010 }
targets: { allowPrivate: [10.0.0.0/33], ports: [0, 80] }
authStatus: 403
sesions: {}
`;
    expect(errorsOf(text)).toEqual([
      'c.yaml:2: listen.prot: unknown key, did you mean port?',
      'c.yaml:3: listen.port: expected a whole number from 0 to 65535',
      'c.yaml:7: accounts[0].plan: expected one of c10, c50, c100, c200, enterprise',
      'c.yaml:8: accounts[0].defaults.Foo: expected a control header such as X-Crawlera-Cookies',
      'c.yaml:8: accounts[0].defaults.x-crawlera-cookies: this control header stands here twice',
      'c.yaml:9: accounts[1].id: another account has the same id',
      'c.yaml:10: accounts[1].key: expected text: put the key in quotes',
      'c.yaml:11: accounts[2]: an account has either key or keySha256',
      'c.yaml:13: upstreams[0].url: a % in the credentials must be written %25',
      'c.yaml:14: upstreams[1].url: {session} needs rotating: true',
      'c.yaml:15: upstreams[2].region: region belongs to a url, not to a list',
      'c.yaml:16: upstreams[3].region: expected a country of two letters',
      'c.yaml:16: upstreams[3].weight: expected a whole number from 1 to 1000',
      'c.yaml:16: upstreams[3].every: every belongs to a list',
      'c.yaml:19: websites["*.foo.example"].siteDelay: expected a duration such as 200ms, 12s, 30m or 1h',
      'c.yaml:21: websites["foo.example"]: the same website stands here twice',
      'c.yaml:22: timeouts.drain: expected a duration such as 200ms, 12s, 30m or 1h',
      'c.yaml:22: timeouts.responseMin: responseMin must not be longer than responseMax',
      'c.yaml:23: workers: more than one worker needs a Redis store',
      'c.yaml:24: bans.rules: there is no such file, or it cannot be read',
      'c.yaml:26: targets.allowPrivate[0]: expected a network such as 10.0.0.0/8 or a host name',
      'c.yaml:26: targets.ports[0]: expected a port from 1 to 65535 or a range such as 1024-65535',
      'c.yaml:27: authStatus: expected one of 407, 401',
      'c.yaml:28: sesions: unknown key, did you mean sessions?',
    ]);
  });

  it.each([
    ['accounts: [{ key: a }, { id: b, key: a }]', 'accounts[1].key: another account has the same key'],
    ['upstreams: [{ url: http://h }, { url: http://h:80/ }]', 'upstreams[1]: the same upstream stands here twice'],
    ['admin: { port: 8010 }', 'admin.port: another listener of this proxy has the same port'],
    ['listen: { host: 0.0.0.0, tls: { port: 8012 } }', 'admin.port: another listener of this proxy has the same port'],
    ['timeouts: { response: 5s }', 'timeouts.response: response must lie between responseMin and responseMax'],
    ['upstreams: [{ region: us }]', 'upstreams[0]: an upstream has either url or list'],
    ['upstreams: [http://u:p@h]', 'upstreams[0]: expected a mapping of keys to values'],
    ['upstreams: { url: http://h }', 'upstreams: expected a list of upstreams'],
    ['listen: 8010', 'listen: expected a mapping of keys to values'],
    ['data: 5', 'data: expected text: put it in quotes'],
    ['listen: { http2: yes }', 'listen.http2: expected true or false'],
    ['store: redis://a:1,b:2', 'store: several hosts need redis+cluster://'],
    ['operatorContact: "a\\nb"', 'operatorContact: expected one line of ASCII text'],
    ['- a', 'expected a mapping of keys'],
  ])('%s', (text, error) => {
    expect(errorsOf(text)).toEqual([`c.yaml:1: ${error}`]);
  });

  it('is not made of two listeners on port 0, nor of two workers with Redis', () => {
    const text = 'listen: { port: 0 }\nadmin: { port: 0 }\nworkers: 2\nstore: redis+cluster://a:1,[::1]:2';
    expect(errorsOf(text)).toEqual([]);
  });

  it('tells of at most two hundred mistakes', () => {
    const errors = errorsOf(`upstreams:\n${'  - {}\n'.repeat(500)}`);
    expect(errors).toHaveLength(201);
    expect(errors[200]).toBe('and 300 more');
  });
});

describe('a file that is no YAML', () => {
  it.each([
    [
      'listen:\n  port: 1\n  port: 2\nlog: { level: loud }',
      ['c.yaml:3: listen.port: this key stands here twice', 'c.yaml:4: log.level'],
    ],
    ['a: 1\n---\nb: 2', ['c.yaml:2: a second document']],
    ['listen:\n\tport: 1', ['c.yaml:2: Tabs are not allowed']],
    ['listen: !secret {}', ['c.yaml:1: Unresolved tag']],
    ['listen: *nix', ['c.yaml: an alias']],
    ['data: "open', ['c.yaml:1: Missing closing']],
  ])('%j is refused with its line', (text, starts) => {
    const errors = errorsOf(text);
    expect(errors).toHaveLength(starts.length);
    for (const [i, start] of starts.entries())
      expect(errors[i]).toMatch(new RegExp(`^${start.replaceAll(/[.*]/g, '\\$&')}`));
  });

  it('is refused when it is not UTF-8, and when it is a folder', () => {
    expect(load(Uint8Array.of(0xff, 0xfe)).errors).toEqual(['c.yaml: the file is not UTF-8 text']);
    expect(loadSettings({ file: '.', explicit: true, env: {}, cwd }).errors).toEqual([
      '.: the file cannot be read (EISDIR)',
    ]);
  });

  it('does not let aliases or nesting use up the machine', () => {
    const level = (name: string, of: string): string => `${name}: &${name} [${Array(9).fill(`*${of}`).join(', ')}]\n`;
    const bomb = `a: &a [x]\n${level('b', 'a')}${level('c', 'b')}${level('d', 'c')}${level('e', 'd')}`;
    const startedAt = performance.now();
    expect(errorsOf(bomb)).toEqual(['c.yaml: an alias (*name) has no anchor, or the file has too many aliases']);
    expect(errorsOf('a: &a [*a]').join()).toMatch(/nested too deeply/);
    expect(errorsOf(`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`).join()).toMatch(/nested too deeply/);
    expect(errorsOf(`a: ${'['.repeat(100)}${']'.repeat(100)}`).join()).toMatch(/nested too deeply/);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('has no power over prototypes', () => {
    expect(errorsOf('__proto__: { polluted: 1 }\nconstructor: {}')).toHaveLength(2);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

const SECRET_FILE = `accounts:
  - { id: a, key: canary-key }
  - { id: b, key: "canary:key" }
admin: { key: canary-admin }
store: redis://:canary-store@redis.example:6379/0
upstreams:
  - url: http://user:canary-pass@192.0.2.10:3128
  - list: https://u:canary-list@provider.example/list?token=canary
`;

describe('secrets in errors', () => {
  it('robustness C11 never appear, however the file is damaged', () => {
    fc.assert(
      fc.property(
        fc.nat(SECRET_FILE.length),
        fc.nat(3),
        fc.constantFrom('', ' ', ':', '"', '{', ']', '\n', '%', '- ', '&x ', '*x', '!t ', '#', '|', '?'),
        (at, cut, put) => {
          const text = SECRET_FILE.slice(0, at) + put + SECRET_FILE.slice(at + cut);
          expect(load(text).errors.join('\n')).not.toMatch(/canary-|token=/);
        },
      ),
      { numRuns: 400 },
    );
  });
});
