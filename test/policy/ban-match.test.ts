import { describe, expect, it } from 'vitest';
import { isOpen } from '../../src/policy/ban.ts';
import { askedFor } from '../../src/policy/ban-sample.ts';
import { type Given, judged, judgement, rulesFrom } from './ban-support.ts';

const HTML = ['Content-Type', 'text/html'];

const hits = (when: string, given: Given): boolean => judged(rulesFrom(`  - { id: x, when: ${when} }`), given) === 'x';

describe('A-08 conditions about the head', () => {
  it.each<[when: string, given: Given, fits: boolean]>([
    ['{ status: 403 }', { status: 403 }, true],
    ['{ status: 403 }', { status: 404 }, false],
    ['{ status: [403, 5xx] }', { status: 599 }, true],
    ['{ status: 4xx }', { status: 500 }, false],
    ['{ methods: [GET, HEAD] }', { method: 'HEAD' }, true],
    ['{ methods: GET }', { method: 'POST' }, false],
    ['{ content_type: text/html }', { headers: ['content-type', 'Text/HTML; charset=utf-8'] }, true],
    ['{ content_type: text/html }', { headers: ['content-type', 'text/htmlx'] }, false],
    ['{ content_type: text/ }', { headers: ['content-type', 'text/csv'] }, true],
    ['{ content_type: text/ }', { headers: ['content-type', 'image/png'] }, false],
    ['{ content_type: ["", text/html] }', {}, true],
    ['{ header: { server: { exists: true } } }', { headers: ['Server', 'x'] }, true],
    ['{ header: { server: { exists: true } } }', { headers: ['Server', ' '] }, false],
    ['{ header: { server: { exists: false } } }', { headers: ['Server', ' '] }, true],
    ['{ header: { server: { exists: false } } }', { headers: ['Server', 'x'] }, false],
    ['{ header: { Server: { equals: DDoS-Guard } } }', { headers: ['server', 'ddos-guard'] }, true],
    ['{ header: { server: { equals: [a, b] } } }', { headers: ['Server', 'b'] }, true],
    ['{ header: { server: { equals: a } } }', { headers: ['Server', 'ab'] }, false],
    ['{ header: { server: { equals: a } } }', {}, false],
    ['{ header: { via: { equals: b } } }', { headers: ['Via', 'a', 'Via', 'b'] }, true],
    ['{ header: { server: { prefix: Clou } } }', { headers: ['Server', 'cloudflare'] }, true],
    ['{ header: { server: { prefix: flare } } }', { headers: ['Server', 'cloudflare'] }, false],
    ["{ header: { server: { regex: '^a\\d+$' } } }", { headers: ['Server', 'A12'] }, true],
    ["{ header: { server: { regex: '^a\\d+$' } } }", { headers: ['Server', 'b12'] }, false],
    ['{ header: { a: { exists: true }, b: { exists: true } } }', { headers: ['A', '1'] }, false],
    ['{ header_prefix: x-kpsdk- }', { headers: ['X-Kpsdk-Ct', '1'] }, true],
    ['{ header_prefix: x-kpsdk- }', { headers: ['Via', 'x-kpsdk-ct'] }, false],
    ['{ set_cookie: [a, _abck] }', { headers: ['Set-Cookie', 'b=1', 'Set-Cookie', '_abck=2; Path=/'] }, true],
    ['{ set_cookie: _abck }', { headers: ['Set-Cookie', 'x=_abck=2'] }, false],
    ['{ set_cookie: _abck }', { headers: ['Cookie', '_abck=2'] }, false],
    ['{ any: [ { status: 403 }, { methods: POST } ] }', { status: 200, method: 'POST' }, true],
    ['{ any: [ { status: 403 }, { methods: POST } ] }', { status: 200 }, false],
    ['{ all: [ { status: 403 }, { methods: POST } ] }', { status: 403 }, false],
    ['{ status: 4xx, not: { status: [404, 410] } }', { status: 403 }, true],
    ['{ status: 4xx, not: { status: [404, 410] } }', { status: 410 }, false],
    ['{ not: { any: [ { status: 200 }, { not: { methods: GET } } ] } }', { status: 403 }, true],
    ['{ not: { any: [ { status: 200 }, { not: { methods: GET } } ] } }', { status: 403, method: 'PUT' }, false],
  ])('%s and %j', (when, given, fits) => {
    expect(hits(when, given)).toBe(fits);
  });

  it.each<[when: string, location: string | undefined, fits: boolean]>([
    ["{ location: { path: '^/sorry/' } }", '/sorry/index?continue=x', true],
    ["{ location: { path: '^/sorry/' } }", 'sorry/index', false],
    ["{ location: { path: '^/a/sorry/' } }", 'sorry/index', true],
    ["{ location: { path: '^/sorry/' } }", '/?next=/sorry/', false],
    ["{ location: { host: '^sorry\\.google\\.' } }", 'https://SORRY.google.com/x', true],
    ["{ location: { host: '^www\\.shop\\.example$' } }", '//www.shop.example/', true],
    ["{ location: { host: '^shop\\.example$', path: '^/b$' } }", '/b', true],
    ["{ location: { host: '^shop\\.example$', path: '^/b$' } }", 'http://other.example/b', false],
    ["{ location: { path: '.' } }", undefined, false],
    ["{ location: { path: '.' } }", ' ', false],
    ["{ location: { path: '.' } }", 'http://', false],
  ])('%s: Location %s, seen from the request', (when, location, fits) => {
    const headers = location === undefined ? [] : ['Location', location];
    expect(hits(when, { url: 'https://shop.example/a/b', status: 302, headers })).toBe(fits);
  });
});

describe('A-08 conditions about the body', () => {
  it.each<[when: string, body: string, fits: boolean]>([
    ['{ contains_any: [captcha, robots] }', 'the CAPTCHA', true],
    ['{ contains_any: [captcha, robots] }', 'a capcha', false],
    ['{ contains_all: [captcha, robots] }', 'robots and captchas', true],
    ['{ contains_all: [captcha, robots] }', 'captchas', false],
    ['{ max_len: 10, contains_any: [captcha] }', 'a captcha', true],
    ['{ max_len: 10, contains_any: [captcha] }', 'one captcha more', false],
    ['{ title: Access Denied }', '<head><TITLE lang=en>\n access  denied </TITLE>', true],
    ['{ title: [x, Access Denied] }', '<title>access denied</title>', true],
    ['{ title: Access Denied }', '<title>Access denied: how to fix it</title>', false],
    ['{ title: Access Denied }', '<h1>Access denied</h1>', false],
    ['{ title: no }', '<title>No</title>', true],
    ['{ title: Zugriff gesperrt für alle }', '<title>Zugriff gesperrt für alle</title>', true],
    ["{ regex: 'error\\s+1\\d{3}' }", 'Error\n1020', true],
    ["{ regex: 'error\\s+1\\d{3}' }", 'error 2020', false],
    ['{ empty: true }', ' \r\n\t ', true],
    ['{ empty: true }', ' x ', false],
    ['{ empty: true }', ' '.repeat(1025), false],
    ['{ empty: false }', ' ', false],
    ['{ empty: false }', 'x', true],
  ])('%s and %j', (body, text, fits) => {
    const given = { status: 200, headers: HTML, body: text };
    expect(hits(`{ body: ${body} }`, given)).toBe(fits);
    expect(hits(`{ body: ${body} }`, { ...given, length: undefined })).toBe(fits);
    expect(hits(`{ any: [ { status: 500 }, { all: [ { body: ${body} } ] } ] }`, given)).toBe(fits);
    expect(hits(`{ not: { body: ${body} } }`, given)).toBe(!fits);
  });

  it('are not met by what cannot be read, nor are their opposites', () => {
    for (const when of ['{ body: { contains_any: [word] } }', '{ not: { body: { contains_any: [word] } } }']) {
      const given = { status: 403, headers: HTML, length: 10 };
      expect(hits(when, { ...given, method: 'HEAD', body: 'word' })).toBe(false);
      expect(hits(when, { ...given, headers: ['Content-Type', 'image/png'], body: 'word' })).toBe(false);
      expect(hits(when, { ...given, headers: [...HTML, 'Content-Encoding', 'compress'], body: 'word' })).toBe(false);
      expect(hits(when, given)).toBe(false);
    }
  });

  it('take a body that cannot be there for an empty one', () => {
    expect(hits('{ body: { empty: true } }', { headers: HTML, length: 0 })).toBe(true);
    expect(hits('{ body: { empty: true } }', { headers: HTML, status: 204, length: undefined })).toBe(true);
    expect(hits('{ not: { body: { contains_any: [word] } } }', { headers: HTML, length: 0 })).toBe(true);
  });
});

describe('A-08 order and verdicts', () => {
  const rules = rulesFrom(`
  - { id: welcome, verdict: ok, scope: { domains: shop.example }, when: { status: 403, body: { contains_any: [members only] } } }
  - { id: odd, verdict: suspect, when: { header: { x-odd: { exists: true } } } }
  - { id: odder, verdict: suspect, when: { status: 403, body: { contains_any: [oddly] } } }
  - { id: word, when: { status: 403, body: { contains_any: [blocked] } } }
  - { id: off, enabled: false, when: { status: 404 } }
  - { id: any-403, when: { status: 403 } }`);
  const page = (body: string, more: Given = {}): Given => ({ status: 403, headers: HTML, body, ...more });

  it('the first rule that matches decides, whether the head or the body shows it', () => {
    expect(judged(rules, page('you are blocked'))).toBe('word');
    expect(judged(rules, page('go away'))).toBe('any-403');
    expect(judged(rules, page('go away', { method: 'HEAD' }))).toBe('any-403');
  });

  it('ok is an answer whatever later rules say, in its own websites', () => {
    expect(judged(rules, page('members only', { url: 'https://www.shop.example/' }))).toBeUndefined();
    expect(judged(rules, page('members only'))).toBe('any-403');
  });

  it('a suspect never bans and never keeps a later rule from it; the first one is noted', () => {
    expect(judgement(rules, { headers: ['X-Odd', '1'] })).toMatchObject({ ban: undefined, suspect: { id: 'odd' } });
    expect(judgement(rules, page('oddly blocked'))).toMatchObject({ ban: { id: 'word' }, suspect: { id: 'odder' } });
    expect(judgement(rules, page('oddly', { headers: [...HTML, 'X-Odd', '1'] }))).toMatchObject({
      ban: { id: 'any-403' },
      suspect: { id: 'odd' },
    });
  });

  it('a rule that is off does nothing', () => {
    expect(judged(rules, { status: 404 })).toBeUndefined();
  });

  it('an interim response is no answer and no ban', () => {
    expect(judged(rulesFrom('  - { id: all, when: { methods: GET } }'), { status: 101 })).toBeUndefined();
  });
});

describe('A-11 what is looked at', () => {
  const reach = (yaml: string, given: Given): number | undefined => {
    const { status = 200, headers = HTML, length } = given;
    const found = rulesFrom(yaml).judge(askedFor(given.url, given.method), { status, headers, length });
    return isOpen(found) ? found.reach : undefined;
  };
  const small = '  - { id: small, when: { status: [200, 403], body: { max_len: 100, contains_any: [word] } } }';
  const larger =
    '  - { id: larger, when: { status: 200, any: [ { body: { max_len: 300, contains_any: [word] } }, { body: { max_len: 50, title: x } } ] } }';
  const whole = '  - { id: whole, when: { status: 403, body: { contains_any: [word] } } }';

  it.each<[name: string, yaml: string, given: Given, reach: number | undefined]>([
    ['no rule about bodies', '  - { id: x, when: { status: 403 } }', { status: 403 }, undefined],
    ['no rule for this status', whole, { status: 200 }, undefined],
    ['a rule for short bodies', small, {}, 100],
    ['the longest of several', `${small}\n${larger}`, {}, 300],
    ['a longer body announced', `${small}\n${larger}`, { length: 301 }, undefined],
    ['a body too long for one of them', `${small}\n${larger}`, { length: 200 }, 300],
    ['a rule for bodies of any length', `${small}\n${whole}`, { status: 403, length: 1_000_000 }, 65_536],
    [
      'the shorter of two parts',
      '  - { id: x, when: { body: { max_len: 80, contains_any: [word] }, all: [ { body: { max_len: 40, empty: false } } ] } }',
      {},
      40,
    ],
    ['an opposite', '  - { id: x, when: { not: { body: { max_len: 80, contains_any: [word] } } } }', {}, 65_536],
    ['an empty body', '  - { id: x, when: { body: { empty: true } } }', {}, 1024],
    ['another type', small, { headers: ['Content-Type', 'image/png'] }, undefined],
    ['a coding that cannot be read', small, { headers: [...HTML, 'Content-Encoding', 'gzip, br'] }, undefined],
    ['a gzip body', small, { headers: [...HTML, 'Content-Encoding', 'gzip'], length: 60 }, 100],
    ['HEAD', small, { method: 'HEAD' }, undefined],
    [
      'another website',
      '  - { id: x, scope: { domains: a.example }, when: { body: { contains_any: [word] } } }',
      {},
      undefined,
    ],
    ['a rule before it that decides', `  - { id: first, when: { status: 403 } }\n${whole}`, { status: 403 }, undefined],
    [
      'a weak sign before it',
      `  - { id: first, verdict: suspect, when: { status: 403 } }\n${whole}`,
      { status: 403 },
      65_536,
    ],
  ])('%s', (_, yaml, given, expected) => {
    expect(reach(yaml, given)).toBe(expected);
  });
});
