import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BUILT_IN_FILE, loadRules } from '../../src/config/rules.ts';
import { parseRegex } from '../../src/config/rules-regex.ts';

const cwd = mkdtempSync(join(tmpdir(), 'crawlgate-rules-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const load = (text: string) => {
  writeFileSync(join(cwd, 'own.yaml'), text);
  return loadRules('own.yaml', cwd);
};

const loadOwn = (...rules: string[]) => load(`version: 1\nrules:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`);

const builtInIds = (): string[] => loadRules(undefined).rules?.map(({ id }) => id) ?? [];

describe('A-08 the rules file', () => {
  it('is the built-in one when none is given, found from where the program is', () => {
    expect(BUILT_IN_FILE).toMatch(/config\/ban-rules\.yaml$/);
    const { rules, errors } = loadRules(undefined, '/nowhere');
    expect(errors).toEqual([]);
    expect(rules?.length).toBeGreaterThan(50);
    expect(loadRules(BUILT_IN_FILE).rules?.length).toBe(rules?.length);
  });

  it('of the operator comes before the built-in one', () => {
    const { rules, errors } = loadOwn('{ id: b, when: { status: 418 } }', '{ id: a, when: { status: 419 } }');
    expect(errors).toEqual([]);
    expect(rules?.map(({ id }) => id)).toEqual(['b', 'a', ...builtInIds()]);
  });

  it('replaces a built-in rule in its place, and switches others on and off', () => {
    const { rules } = loadOwn(
      '{ id: status-403-html, verdict: suspect, when: { status: 403 } }',
      '{ id: status-999, enabled: false }',
      '{ id: linkedin-authwall, enabled: true }',
    );
    expect(rules?.map(({ id }) => id)).toEqual(builtInIds());
    const rule = (id: string) => rules?.find((one) => one.id === id);
    expect(rule('status-403-html')).toMatchObject({ verdict: 'suspect', when: { contentType: undefined } });
    expect(rule('status-999')).toMatchObject({ enabled: false, when: { status: [[999, 999]] } });
    expect(rule('linkedin-authwall')).toMatchObject({ enabled: true, verdict: 'login' });
  });

  it('is read into conditions', () => {
    const { rules } = loadOwn(
      `{ id: full, vendor: me, verdict: throttle, enabled: false, source: [a, b],
      scope: { domains: [shop.example, google.*], exclude_domains: .api.shop.example },
      when: { status: [403, 5xx], methods: GET, content_type: Text/HTML, header: { X-A: { equals: [ONE, two] } },
        header_prefix: X-B-, set_cookie: Sid, location: { host: a, path: b },
        body: { max_len: 10, contains_any: WORD, contains_all: [word, words], title: A Title, empty: false },
        any: [ { status: 403 } ], all: [ { methods: GET } ], not: { status: 404 } } }`,
    );
    expect(rules?.[0]).toEqual({
      id: 'full',
      vendor: 'me',
      verdict: 'throttle',
      enabled: false,
      domains: ['shop.example', 'google.*'],
      excludeDomains: ['.api.shop.example'],
      source: ['a', 'b'],
      tests: { match: [], noMatch: [] },
      when: {
        status: [
          [403, 403],
          [500, 599],
        ],
        methods: ['GET'],
        contentType: ['text/html'],
        headers: [['x-a', { equals: ['one', 'two'] }]],
        headerPrefix: ['x-b-'],
        setCookie: ['Sid'],
        location: { host: /a/i, path: /b/i },
        body: { maxLen: 10, containsAny: ['WORD'], containsAll: ['word', 'words'], title: ['a title'], empty: false },
        any: [{ status: [[403, 403]] }],
        all: [{ methods: ['GET'] }],
        not: { status: [[404, 404]] },
      },
    });
  });
});

describe('mistakes in a rules file', () => {
  it('are all told at once, with file, line and path', () => {
    const { rules, errors } = load(`version: 2
rules:
  - { id: Bad Name, when: { status: 403 } }
  - id: two
    whn: { status: 403 }
    verdict: perhaps
  - id: three
    when:
      status: [99, 6xy, 1000]
      body: { contains_any: [abc], max_len: 70000, regex: "(" }
      location: {}
      any: []
more: 1
`);
    expect(rules).toBeUndefined();
    expect(errors).toEqual([
      'own.yaml:1: version: expected 1, the version of this format',
      'own.yaml:3: rules[0].id: expected small letters, digits and -, at most 64',
      'own.yaml:5: rules[1].whn: unknown key, did you mean when?',
      expect.stringMatching(/^own\.yaml:6: rules\[1\]\.verdict: expected one of ban, throttle, login, suspect, ok$/),
      'own.yaml:9: rules[2].when.status[0]: expected a status such as 403, or 4xx',
      'own.yaml:9: rules[2].when.status[1]: expected a status such as 403, or 4xx',
      'own.yaml:9: rules[2].when.status[2]: expected a status such as 403, or 4xx',
      expect.stringMatching(/^own\.yaml:10: rules\[2\]\.when\.body\.max_len: /),
      'own.yaml:10: rules[2].when.body.contains_any[0]: expected a text of 4 to 200 characters on one line',
      'own.yaml:10: rules[2].when.body.regex: this is no regular expression',
      'own.yaml:11: rules[2].when.location: expected at least one condition',
      'own.yaml:12: rules[2].when.any: expected at least one condition',
      'own.yaml:13: more: unknown key (known here: version, rules)',
    ]);
  });

  it.each<[rule: string, message: RegExp]>([
    ['{ id: x }', /rules\[0\]: expected a condition \(when\), or enabled/],
    ['{ id: x, when: {} }', /when: expected at least one condition/],
    ['{ id: x, enabled: false }', /own\.yaml:3: rules\[0\]: there is no built-in rule of this id to switch/],
    ['{ id: x, verdict: login, when: { status: 302 } }', /verdict: a login rule names its domains/],
    [
      '{ id: x, scope: { domains: "*.shop.example" }, when: { status: 403 } }',
      /scope\.domains\[0\]: expected shop\.example/,
    ],
    ['{ id: x, when: { header: { "a b": { exists: true } } } }', /header.*expected the name of a header/],
    ['{ id: x, when: { header: {} } }', /when\.header: expected at least one header/],
    ['{ id: x, when: { header: { a: {} } } }', /header\.a: expected at least one condition/],
    ['{ id: x, when: { methods: get } }', /methods\[0\]: expected a method in capitals/],
    ['{ id: x, when: { content_type: html } }', /content_type\[0\]: expected a media type/],
    ['{ id: x, when: { body: { title: "" } } }', /title\[0\]: expected a text of 1 to 200 characters/],
    ['{ id: x, when: { status: 403 }, tests: { match: hello } }', /tests\.match\[0\]: expected a saved response/],
    ['{ id: x, when: { not: [ { status: 403 } ] } }', /when\.not: expected a mapping/],
    [
      '{ id: x, when: { status: 403 } }\n  - { id: x, when: { status: 404 } }',
      /own\.yaml:4: rules\[1\]\.id: a rule has this id already/,
    ],
    [`{ id: x, when: ${'{ not: '.repeat(20)}{ status: 403 }${' }'.repeat(20)} }`, /nested too deeply/],
    ['{ id: x, when: { status: 403', /own\.yaml:/],
  ])('%s', (rule, message) => {
    const { rules, errors } = loadOwn(rule);
    expect(rules).toBeUndefined();
    expect(errors.join('\n')).toMatch(message);
  });

  it('are told of a file that is not there, or is no mapping', () => {
    expect(loadRules('absent.yaml', cwd).errors).toEqual(['absent.yaml: there is no such file']);
    expect(load('- 1').errors).toEqual(['own.yaml:1: expected a mapping of keys']);
    expect(load('').errors).not.toEqual([]);
  });
});

describe('regular expressions', () => {
  it.each([
    '(a+)+$',
    '(\\w|\\d)*x',
    '\\s+x',
    '(<div>)*(<div>)*(<div>)*(<div>)*(<div>)*(<div>)*z',
    '<div.*class.*</div>',
    'token=([a-z]+)*;',
  ])('%s is refused: it can be kept busy', (source) => {
    expect(parseRegex(source, false)).toMatchObject({ ok: false, message: expect.stringContaining('25 ms') });
  });

  it.each([
    'captcha',
    '^/sorry/',
    '(^|\\.)captcha-delivery\\.com$',
    '<span\\s{1,9}class="cf-error-code">1\\d{3}</span>',
    '<title>[^<]{0,100}blocked',
  ])('%s is taken', (source) => {
    expect(parseRegex(source, false)).toMatchObject({ ok: true });
  });

  it('of the built-in rules are quick', () => {
    const sources: string[] = [];
    const collect = (value: unknown): void => {
      if (value instanceof RegExp) sources.push(value.source);
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
    };
    collect(loadRules(undefined).rules);
    expect(sources.length).toBeGreaterThan(5);
    expect(sources.filter((source) => !parseRegex(source, false).ok)).toEqual([]);
  });

  it.each([42, '', 'x'.repeat(501), '[', '(?<a'])('%j is none', (value) => {
    expect(parseRegex(value, false).ok).toBe(false);
  });
});
