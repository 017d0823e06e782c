import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normaliseHost } from '../../src/policy/host.ts';
import { makeTarget, parseAbsolute, parseAuthority, withHttps } from '../../src/policy/route.ts';

describe('hosts', () => {
  it.each([
    ['shop.localhost', 'shop.localhost'],
    ['Shop.LocalHost', 'shop.localhost'],
    ['shop.localhost.', 'shop.localhost'],
    ['under_score.example', 'under_score.example'],
    ['a-b--c.example', 'a-b--c.example'],
    ['1.example', '1.example'],
    ['example.c0m', 'example.c0m'],
    ['example.1a', 'example.1a'],
    ['xn--mller-kva.example', 'xn--mller-kva.example'],
    ['XN--MLLER-KVA.example', 'xn--mller-kva.example'],
    ['m\u00fcller.example', 'xn--mller-kva.example'],
    ['M\u00dcLLER.example', 'xn--mller-kva.example'],
    ['m\u00c3\u00bcller.example', 'xn--mller-kva.example'],
    ['\u65e5\u672c.example', 'xn--wgv71a.example'],
    ['m%C3%BCller.example', 'xn--mller-kva.example'],
    ['shop%2Elocalhost', 'shop.localhost'],
    ['%73hop.localhost', 'shop.localhost'],
    ['shop\u3002localhost', 'shop.localhost'],
    ['[::1]', '::1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['[2001:DB8::A]', '2001:db8::a'],
    ['[::FFFF:127.0.0.1]', '::ffff:7f00:1'],
  ])('robustness B04 %s is %s', (text, host) => {
    expect(normaliseHost(text)).toBe(host);
  });

  it.each([
    '127.0.0.1',
    '127.0.0.1.',
    '127.1',
    '127.0.1',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '0x7f.1',
    '0x7f000001',
    '0X7F.0.0.1',
    '127.0.0.01',
    '\u2460\u2461\u2466.0.0.1',
    '\uff11\uff12\uff17.0.0.1',
    '%31%32%37.0.0.1',
  ])('robustness D02 %s is 127.0.0.1', (text) => {
    expect(normaliseHost(text)).toBe('127.0.0.1');
  });

  it.each([
    '',
    '.',
    '..',
    '.example',
    'a..b',
    'example..',
    'a b',
    ' a',
    'a\t',
    'a\r\nHost: b',
    'a\u0000',
    'a%0d%0ab',
    'a%00',
    'a%20b',
    'a%2fb',
    'a%40b',
    'a%25b',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a@b',
    'a<b',
    'a|b',
    'a%22b',
    'a*b',
    "a'b",
    'a,b',
    'a;b',
    '$a',
    'a^b',
    'a:b',
    '::1',
    ':',
    '[::1',
    '::1]',
    '[::1]x',
    'x[::1]',
    '[::g]',
    '[fe80::1%25eth0]',
    '[127.0.0.1]',
    '[]',
    '256.256.256.256',
    '1.2.3.4.5',
    '4294967296',
    '1.2.3.0x100',
    'xn--.example',
    'xn--a-\u00e9.example',
    `${'a'.repeat(63)}.`.repeat(4),
    'a'.repeat(2000),
    '\u00ad',
  ])('robustness B01 B04 %j can be no host', (text) => {
    expect(normaliseHost(text)).toBeUndefined();
  });

  it('a result is its own normal form and holds only harmless characters', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.string({ unit: fc.constantFrom('a', 'Z', '0', '1', '.', '-', '_', '%', '[', ']', ':', 'x', '\u00fc', '2') }),
    );
    fc.assert(
      fc.property(text, (input) => {
        const host = normaliseHost(input);
        if (host === undefined) return;
        expect(host).toMatch(/^[a-z0-9._-]+$|^[0-9a-f:]+$/);
        expect(host).not.toMatch(/^\.|\.$|\.\./);
        expect(normaliseHost(host.includes(':') ? `[${host}]` : host)).toBe(host);
      }),
      { numRuns: 2000 },
    );
  });

  it('ordinary names come out as the URL parser has them', () => {
    fc.assert(
      fc.property(fc.domain(), (name) => {
        expect(normaliseHost(name.toUpperCase())).toBe(new URL(`http://${name}/`).hostname);
      }),
    );
  });
});

describe('authorities', () => {
  it.each([
    ['shop.localhost:443', 'shop.localhost', 443],
    ['SHOP.localhost.:8443', 'shop.localhost', 8443],
    ['[::1]:443', '::1', 443],
    ['127.1:80', '127.0.0.1', 80],
    ['a:65535', 'a', 65_535],
    ['a:0', 'a', 0],
    ['a:00080', 'a', 80],
  ])('T-04 CONNECT %s', (text, host, port) => {
    expect(parseAuthority(text, undefined)).toEqual({ host, port });
  });

  it.each([
    '',
    ':',
    ':443',
    'shop.localhost',
    'shop.localhost:',
    'shop.localhost:http',
    'shop.localhost:65536',
    'shop.localhost:000443',
    'shop.localhost:-1',
    'shop.localhost:+1',
    'shop.localhost: 443',
    'shop.localhost:443 ',
    'shop.localhost:44\r\n3',
    'shop.localhost:443/',
    'http://shop.localhost:443',
    'user@shop.localhost:443',
    'user:pass@shop.localhost:443',
    '[::1]',
    '::1:443',
    '[::1]443',
    'a:b:443',
    'a%0d%0aX-Evil:%201:443',
    'a\u0000:443',
    'a/../b:443',
    '../../etc:443',
  ])('T-06 robustness B01 CONNECT %j cannot be parsed', (text) => {
    expect(parseAuthority(text, undefined)).toBeUndefined();
  });

  it('a default port stands in where one is allowed', () => {
    expect(parseAuthority('a', 80)).toEqual({ host: 'a', port: 80 });
    expect(parseAuthority('a:', 80)).toEqual({ host: 'a', port: 80 });
    expect(parseAuthority('[::1]', 443)).toEqual({ host: '::1', port: 443 });
    expect(parseAuthority('a:81', 80)).toEqual({ host: 'a', port: 81 });
  });

  it('any port from 0 to 65535 is read as written, and none beyond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999 }), (port) => {
        const expected = port <= 65_535 ? { host: 'a', port } : undefined;
        expect(parseAuthority(`a:${port}`, undefined)).toEqual(expected);
      }),
    );
  });
});

describe('absolute URLs', () => {
  it.each([
    ['http://shop.localhost/a?b=1', 'http', 'shop.localhost', 80, '/a?b=1'],
    ['https://shop.localhost/a', 'https', 'shop.localhost', 443, '/a'],
    ['HTTP://Shop.Localhost:8080/A', 'http', 'shop.localhost', 8080, '/A'],
    ['hTTpS://a', 'https', 'a', 443, '/'],
    ['http://a', 'http', 'a', 80, '/'],
    ['http://a?x=1', 'http', 'a', 80, '/?x=1'],
    ['http://a/?x#frag?y', 'http', 'a', 80, '/?x'],
    ['http://a#frag', 'http', 'a', 80, '/'],
    ['http://a#/b@c', 'http', 'a', 80, '/'],
    ['http://a:80/', 'http', 'a', 80, '/'],
    ['http://a:/x', 'http', 'a', 80, '/x'],
    ['http://[::1]:8080/x', 'http', '::1', 8080, '/x'],
    ['http://[::1]/', 'http', '::1', 80, '/'],
    ['http://a/b/../c/./d//e', 'http', 'a', 80, '/b/../c/./d//e'],
    ['http://a/%7e%2F%zz?q=a+b%20', 'http', 'a', 80, '/%7e%2F%zz?q=a+b%20'],
    ['http://a/\'"<>{}|\\^`@:', 'http', 'a', 80, '/\'"<>{}|\\^`@:'],
    ['http://a/\u00e9\u00ff', 'http', 'a', 80, '/\u00e9\u00ff'],
    ['http://a/http://b/', 'http', 'a', 80, '/http://b/'],
  ])('T-02 T-03 %s keeps its path byte for byte', (url, scheme, host, port, path) => {
    expect(parseAbsolute(url)).toEqual({ scheme, host, port, path });
  });

  it.each([
    'http://user@a/x',
    'http://user:pass@a/x',
    'http://u%40ser:p%3Ass@a/x',
    'http://user:p@ss@a/x',
    'http://@a/x',
    'http://b:80@a/x',
  ])('robustness B03 userinfo of %s is gone', (url) => {
    expect(parseAbsolute(url)).toEqual({ scheme: 'http', host: 'a', port: 80, path: '/x' });
  });

  it.each(['ftp://a/', 'ws://a/', 'file:///etc/passwd', 'javascript:alert(1)', 'HTTPX://a/', 'a+b.c-d:x'])(
    'robustness B06 %s has another scheme',
    (url) => {
      expect(parseAbsolute(url)).toBe('bad_scheme');
    },
  );

  it.each([
    '',
    '/path',
    '*',
    'shop.localhost',
    ':',
    '://a/',
    'http:',
    'http:a',
    'http:/a',
    'http://',
    'http:///',
    'http:///a',
    'http://?x',
    'http://#x',
    'http://@/',
    'http://a:99999/',
    'http://a:x/',
    'http://a b/',
    'http://a\\b/',
    'http://[::1/',
    'http://a%00/',
    'http://a/b c',
    'http://a/b\tc',
    'http://a/b\r\nX-Evil: 1',
    'http://a/\u0000',
    'http://a/\u007f',
    'http://a/\u010a',
    '1http://a/',
    'h ttp://a/',
    ' http://a/',
  ])('robustness B01 %j is unusable', (url) => {
    expect(parseAbsolute(url)).toBeUndefined();
  });

  it('host and port agree with the URL parser on ordinary URLs', () => {
    const url = fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true, withFragments: true });
    fc.assert(
      fc.property(url, (text) => {
        const parsed = parseAbsolute(text);
        const standard = new URL(text);
        expect(parsed).toMatchObject({ scheme: standard.protocol.slice(0, -1), host: standard.hostname });
      }),
    );
  });

  it('robustness B01 nothing that is accepted could end a request line', () => {
    const part = fc.string({ unit: 'binary', maxLength: 12 });
    fc.assert(
      fc.property(part, part, (authority, path) => {
        const parsed = parseAbsolute(`http://${authority}.a/${path}`);
        if (typeof parsed !== 'object') return;
        expect(parsed.path).toMatch(/^\/[^\0-\x20\x7f]*$/);
        expect(parsed.host).not.toMatch(/[\0-\x20\x7f-\uffff/@\\]/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('targets', () => {
  it.each([
    ['http', 'a', 80, 'a'],
    ['http', 'a', 443, 'a:443'],
    ['https', 'a', 443, 'a'],
    ['https', 'a', 80, 'a:80'],
    ['http', '::1', 80, '[::1]'],
    ['https', '::1', 8443, '[::1]:8443'],
  ] as const)('robustness A11 B05 %s %s %i has the authority %s', (scheme, host, port, authority) => {
    expect(makeTarget(scheme, host, port)).toEqual({ scheme, host, port, website: host, authority });
  });

  it('one website for http and https and all ports', () => {
    expect(makeTarget('https', 'a', 8443).website).toBe(makeTarget('http', 'a', 80).website);
  });

  it.each([
    [80, 443, 'a'],
    [443, 443, 'a'],
    [8080, 8080, 'a:8080'],
  ])('H-20 Use-Https turns port %i into %i', (from, to, authority) => {
    expect(withHttps(makeTarget('http', 'a', from))).toEqual(makeTarget('https', 'a', to));
    expect(withHttps(makeTarget('http', 'a', from)).authority).toBe(authority);
  });

  it('H-20 on https it has no effect', () => {
    const target = makeTarget('https', 'a', 80);
    expect(withHttps(target)).toBe(target);
  });
});
