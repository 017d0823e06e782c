import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CookieChange, StoredCookie } from '../../src/model/cookies.ts';
import {
  cookieChanges,
  cookieHeader,
  dressCookies,
  identityOf,
  type Place,
  setCookieLines,
  siteOf,
} from '../../src/policy/cookies.ts';

const NOW = 1_800_000_000_000;

const at = (url: string): Place => {
  const [, scheme, host = '', path = '/'] = /^(https?):\/\/([^/*]*)(.*)$/.exec(url) ?? [];
  return { target: { scheme: scheme === 'https' ? 'https' : 'http', host }, path: path === '' ? '/' : path };
};

/** A shelf that lives through responses as a store's does. */
const makeShelf = () => {
  const shelf = new Map<string, StoredCookie>();
  const apply = (changes: readonly CookieChange[]): void => {
    for (const [identity, cookie] of changes) {
      shelf.delete(identity);
      if (cookie) shelf.set(identity, cookie);
    }
  };
  return {
    shelf,
    set: (url: string, lines: readonly string[], now = NOW) => apply(cookieChanges(lines, at(url), now, shelf)),
    sent: (url: string, now = NOW) => cookieHeader(shelf, at(url), now),
  };
};

/** What is sent to `to` after `from` answered with `lines`. */
const carried = (from: string, lines: readonly string[], to = from, laterMs = 0): string | undefined => {
  const { set, sent } = makeShelf();
  set(from, lines);
  return sent(to, NOW + laterMs);
};

const SHOP = 'https://www.shop.example/a/b?q=/x';

describe('reading Set-Cookie', () => {
  it.each([
    ['a=1', 'a=1'],
    ['a=1; Path=/; HttpOnly; SameSite=Strict', 'a=1'],
    ['a=1;', 'a=1'],
    ['  a \t= 1\t ; Path=/', 'a=1'],
    ['a="quoted, kept"', 'a="quoted, kept"'],
    ['a=b=c==', 'a=b=c=='],
    ['a=', 'a='],
    ['a', 'a'],
    ['=a', 'a'],
    ['=a=b', 'a=b'],
    ['a=1; SameSite=None', 'a=1'],
    ['a=1; Unknown=x; Partitioned; Priority=High', 'a=1'],
    ['a=1; Expires=tomorrow', 'a=1'],
    ['a=1; Max-Age=soon', 'a=1'],
    ['a=voil\xc3\xa0', 'a=voil\xc3\xa0'],
    ['\xa0a=\xa0', '\xa0a=\xa0'],
  ])('K-05 %j is sent back as %j', (line, header) => {
    expect(carried(SHOP, [line])).toBe(header);
  });

  it.each([
    '',
    ';',
    '=',
    ' = ; Path=/',
    '; Path=/',
    'a=1\x00',
    'a=1; Path=/\x01',
    'a\x7f=1',
    `a=${'x'.repeat(4_096)}`,
    `${'x'.repeat(5_000)}=1`,
  ])('K-05 %j is ignored', (line) => {
    expect(carried(SHOP, [line])).toBeUndefined();
  });

  it('K-05 takes a cookie of 4096 bytes', () => {
    expect(carried(SHOP, [`a=${'x'.repeat(4_095)}`])).toHaveLength(4_097);
  });
});

describe('whom a cookie is for', () => {
  const rows: readonly (readonly [from: string, attributes: string, to: string, sent: boolean])[] = [
    // Without Domain: exactly the host.
    ['http://shop.example', '', 'http://shop.example', true],
    ['http://shop.example', '', 'http://www.shop.example', false],
    ['http://www.shop.example', '', 'http://shop.example', false],
    ['http://shop.example', 'Domain=', 'http://www.shop.example', false],
    // With Domain: the name and those below it.
    ['http://www.shop.example', 'Domain=shop.example', 'http://shop.example', true],
    ['http://www.shop.example', 'Domain=.shop.example', 'http://cdn.shop.example', true],
    ['http://www.shop.example', 'DOMAIN=.Shop.Example', 'http://a.b.shop.example', true],
    ['http://www.shop.example', 'Domain=shop.example', 'http://eshop.example', false],
    ['http://www.shop.example', 'Domain=shop.example', 'http://shop.example.org', false],
    ['http://www.shop.example', 'Domain=a.example; Domain=shop.example', 'http://shop.example', true],
    // A host may not set cookies for others, nor for names below it.
    ['http://shop.example', 'Domain=www.shop.example', 'http://www.shop.example', false],
    ['http://shop.example', 'Domain=other.example', 'http://other.example', false],
    ['http://shop.example', 'Domain=op.example', 'http://op.example', false],
    ['http://shop.example', 'Domain=sh\xff\xfeop.example', 'http://shop.example', false],
    ['http://shop.example', 'Domain=[', 'http://shop.example', false],
    // Public suffixes: only a host that is one, for itself.
    ['http://shop.example', 'Domain=example', 'http://shop.example', false],
    ['http://shop.co.uk', 'Domain=co.uk', 'http://other.co.uk', false],
    ['http://me.github.io', 'Domain=github.io', 'http://you.github.io', false],
    ['http://github.io', 'Domain=github.io', 'http://github.io', true],
    ['http://github.io', 'Domain=github.io', 'http://you.github.io', false],
    ['http://shop.co.uk', 'Domain=shop.co.uk', 'http://www.shop.co.uk', true],
    // Local names and addresses.
    ['http://localhost', '', 'http://localhost', true],
    ['http://localhost', 'Domain=localhost', 'http://localhost', true],
    ['http://localhost', 'Domain=localhost', 'http://shop.localhost', false],
    ['http://shop.localhost', 'Domain=localhost', 'http://other.localhost', false],
    ['http://www.shop.localhost', 'Domain=shop.localhost', 'http://shop.localhost', true],
    ['http://intranet', 'Domain=intranet', 'http://intranet', true],
    ['http://127.0.0.1', '', 'http://127.0.0.1', true],
    ['http://127.0.0.1', 'Domain=127.0.0.1', 'http://127.0.0.1', true],
    ['http://127.0.0.1', 'Domain=0.0.1', 'http://127.0.0.1', false],
    ['http://127.0.0.1', '', 'http://127.0.0.2', false],
    ['http://::1', '', 'http://::1', true],
    ['http://::1', 'Domain=[::1]', 'http://::1', true],
    // Secure: set and sent over https alone, local names among them.
    ['https://shop.example', 'Secure', 'https://shop.example', true],
    ['https://shop.example', 'Secure', 'http://shop.example', false],
    ['http://shop.example', 'Secure', 'https://shop.example', false],
    ['https://shop.localhost', 'Secure', 'http://shop.localhost', false],
    ['https://shop.example', '', 'http://shop.example', true],
    ['http://shop.example', '', 'https://shop.example', true],
    // Paths.
    ['http://shop.example/a/b', '', 'http://shop.example/a', true],
    ['http://shop.example/a/b', '', 'http://shop.example/a/c/d?x', true],
    ['http://shop.example/a/b', '', 'http://shop.example/ab', false],
    ['http://shop.example/a/b', '', 'http://shop.example/', false],
    ['http://shop.example/a/b?/c/d', '', 'http://shop.example/a', true],
    ['http://shop.example/a', '', 'http://shop.example/', true],
    ['http://shop.example*', '', 'http://shop.example/', true],
    ['http://shop.example/', 'Path=/a', 'http://shop.example/a/x', true],
    ['http://shop.example/', 'Path=/a', 'http://shop.example/a?x', true],
    ['http://shop.example/', 'Path=/a', 'http://shop.example/A', false],
    ['http://shop.example/', 'Path=/a', 'http://shop.example/?/a', false],
    ['http://shop.example/', 'Path=/a/', 'http://shop.example/a', false],
    ['http://shop.example/', 'Path=/a%20b', 'http://shop.example/a%20b', true],
    ['http://shop.example/a/b', 'Path=no', 'http://shop.example/a', true],
    ['http://shop.example/a/b', 'Path=/; Path=', 'http://shop.example/', false],
    ['http://shop.example/a/b', `Path=/${'x'.repeat(2_000)}`, 'http://shop.example/a', true],
  ];
  it.each(rows)('K-05 from %s with %j to %s: %j', (from, attributes, to, sent) => {
    expect(carried(from, [`a=1; ${attributes}`], to)).toBe(sent ? 'a=1' : undefined);
  });

  const promises: readonly (readonly [url: string, line: string, kept: boolean])[] = [
    ['https://a.shop.example', '__Secure-a=1; Secure', true],
    ['https://a.shop.example', '__Secure-a=1; Secure; Domain=shop.example; Path=/x', true],
    ['https://a.shop.example', '__Secure-a=1', false],
    ['http://a.shop.example', '__Secure-a=1; Secure', false],
    ['https://a.shop.example', '__Host-a=1; Secure; Path=/', true],
    ['https://a.shop.example', '__Host-a=1; Secure', false],
    ['https://a.shop.example', '__Host-a=1; Path=/', false],
    ['https://a.shop.example', '__Host-a=1; Secure; Path=/x', false],
    ['https://a.shop.example', '__hOST-a=1; Secure', false],
    ['https://a.shop.example', '=__Host-a=1; Secure; Path=/', false],
    ['https://a.shop.example', '__Hosta=1', true],
  ];
  it.each(promises)('K-05 %s: %s is kept: %j', (url, line, kept) => {
    const { shelf, set } = makeShelf();
    set(url, [line]);
    expect(shelf.size).toBe(kept ? 1 : 0);
  });

  it('K-05 over http a cookie that https set can be neither replaced, hidden nor removed', () => {
    const { set, sent } = makeShelf();
    set('https://www.shop.example/', ['a=1; Secure; Domain=shop.example; Path=/x', 'b=1; Domain=shop.example']);
    set('http://www.shop.example/', [
      'a=2; Domain=shop.example; Path=/x',
      'a=3; Path=/x/y',
      'b=2; Domain=shop.example',
    ]);
    set('http://www.shop.example/', ['a=; Max-Age=0; Domain=shop.example; Path=/x']);
    expect(sent('https://www.shop.example/x/y')).toBe('a=1; b=2');
    set('http://www.shop.example/', ['a=4; Path=/']);
    expect(sent('http://www.shop.example/x')).toBe('a=4; b=2');
    set('https://www.shop.example/', ['a=5; Domain=shop.example; Path=/x']);
    expect(sent('http://www.shop.example/x')).toBe('a=5; a=4; b=2');
  });
});

describe('how long a cookie lives', () => {
  const inHttpDate = (ms: number): string => new Date(NOW + ms).toUTCString();
  const rows: readonly (readonly [attributes: string, laterMs: number, sent: boolean])[] = [
    ['', 1e12, true],
    ['Max-Age=10', 9_999, true],
    ['Max-Age=10', 10_000, false],
    [`Expires=${inHttpDate(10_000)}`, 9_999, true],
    [`Expires=${inHttpDate(10_000)}`, 10_000, false],
    [`expires=${inHttpDate(5_000).replaceAll(' ', '-').replace(',-', ', ')}`, 4_000, true],
    [`Max-Age=10; Expires=${inHttpDate(-10_000)}`, 0, true],
    [`Expires=${inHttpDate(10_000)}; Max-Age=0`, 0, false],
    ['Max-Age=-1', 0, false],
    [`Max-Age=-${'9'.repeat(400)}`, 0, false],
    [`Max-Age=${'9'.repeat(400)}`, 1e15, true],
    ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 0, false],
    ['Expires=never; Max-Age=x', 1e12, true],
  ];
  it.each(rows)('K-05 with %j, %d ms later: %j', (attributes, laterMs, sent) => {
    expect(carried(SHOP, [`a=1; ${attributes}`], SHOP, laterMs)).toBe(sent ? 'a=1' : undefined);
  });

  it('K-05 one that has ended already takes its like away, and no other', () => {
    const { set, sent } = makeShelf();
    set(SHOP, ['a=1; Path=/', 'a=2; Path=/a', 'b=3; Domain=shop.example']);
    set(SHOP, ['a=; Path=/; Max-Age=0', 'b=; Max-Age=0']);
    expect(sent(SHOP)).toBe('a=2; b=3');
  });

  it('K-05 cookies that have ended leave the shelf with the next change', () => {
    const { shelf, set } = makeShelf();
    set(SHOP, ['a=1; Max-Age=1', 'b=1']);
    set(SHOP, ['c=1'], NOW + 1_000);
    expect([...shelf.values()].map(({ name }) => name)).toEqual(['b', 'c']);
  });
});

describe('the order they are sent in', () => {
  it('K-05 longer paths first, then older ones; a new value keeps the age', () => {
    const { set, sent } = makeShelf();
    set(SHOP, ['z=1; Path=/', 'y=1; Path=/', 'x=1; Path=/a']);
    set(SHOP, ['w=1; Path=/', 'z=2; Path=/'], NOW + 1);
    expect(sent(SHOP, NOW + 2)).toBe('x=1; z=2; y=1; w=1');
  });

  it('K-05 one that had ended begins a new age', () => {
    const { set, sent } = makeShelf();
    set(SHOP, ['a=1; Max-Age=1', 'b=1']);
    set(SHOP, ['a=2'], NOW + 2_000);
    expect(sent(SHOP, NOW + 2_000)).toBe('b=1; a=2');
  });
});

describe('sites', () => {
  it.each([
    ['www.shop.example', 'shop.example'],
    ['shop.example', 'shop.example'],
    ['a.b.shop.co.uk', 'shop.co.uk'],
    ['co.uk', 'co.uk'],
    ['me.github.io', 'me.github.io'],
    ['localhost', 'localhost'],
    ['a.shop.localhost', 'shop.localhost'],
    ['10.1.2.3', '10.1.2.3'],
    ['::1', '::1'],
    ['intranet', 'intranet'],
  ])('K-05 cookies of %s are kept under %s', (host, site) => {
    expect([siteOf(host), siteOf(host)]).toEqual([site, site]);
  });
});

describe('headers', () => {
  const list = ['Host', 'x', 'cOOKie', 'client=1', 'X-Cookie', 'y', 'Cookie', 'client=2', 'Accept', '*/*'];

  it('K-01 the jar stands where the client had its first cookie, spelled alike', () => {
    expect(dressCookies(list, 'jar=1')).toEqual(['Host', 'x', 'cOOKie', 'jar=1', 'X-Cookie', 'y', 'Accept', '*/*']);
  });

  it('K-01 the jar comes last when the client sent none', () => {
    expect(dressCookies(['Host', 'x', 'Accept', 'y'], 'jar=1')).toEqual([
      'Host',
      'x',
      'Accept',
      'y',
      'Cookie',
      'jar=1',
    ]);
  });

  it('K-01 H-21 without anything to send the client is left none', () => {
    expect(dressCookies(list, undefined)).toEqual(['Host', 'x', 'X-Cookie', 'y', 'Accept', '*/*']);
    const plain = ['Host', 'x', 'Accept', '*/*'];
    expect(dressCookies(plain, undefined)).toBe(plain);
  });

  it('finds every Set-Cookie, whatever its spelling', () => {
    expect(setCookieLines(['set-cookie', 'a=1', 'Set-Cookie2', 'b=1', 'SET-COOKIE', 'c=1'])).toEqual(['a=1', 'c=1']);
    expect(setCookieLines(['Host', 'set-cookie'])).toBeUndefined();
  });
});

describe('whatever comes', () => {
  const words = ['a', '=', ';', ' ', 'Path', '/', 'Domain', 'shop.example', '.', 'Max-Age', '9', '-', 'Expires', '\t'];
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const line = fc.oneof(
    bytes,
    fc.array(fc.oneof(fc.constantFrom(...words), bytes), { maxLength: 30 }).map((all) => all.join('')),
  );
  const hosts = ['shop.example', 'www.shop.example', 'shop.co.uk', 'co.uk', 'localhost', '127.0.0.1', '::1'];
  const place = fc.record({ scheme: fc.constantFrom('http', 'https'), host: fc.constantFrom(...hosts), path: bytes });
  const placeOf = ({ scheme, host, path }: { scheme: string; host: string; path: string }): Place => ({
    target: { scheme: scheme as 'http' | 'https', host },
    path: `/${path}`,
  });

  it('no Set-Cookie throws, none reaches another site, and none breaks a header', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), place, place, (lines, from, to) => {
        const shelf = new Map<string, StoredCookie>();
        for (const [identity, cookie] of cookieChanges(lines, placeOf(from), NOW, undefined)) {
          if (cookie) shelf.set(identity, cookie);
          if (cookie) expect(identity).toBe(identityOf(cookie));
        }
        const header = cookieHeader(shelf, placeOf(to), NOW);
        if (header === undefined) return;
        expect(siteOf(to.host)).toBe(siteOf(from.host));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be in a header
        expect(header).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f]/);
      }),
    );
  });

  it('a plain name and value come back byte for byte, in the order they were set', () => {
    const token = fc.stringMatching(/^[!#-'*+.0-9A-Z^-z|~-]{1,20}$/).filter((name) => !/^__(host|secure)-/i.test(name));
    const value = fc.stringMatching(/^[!-:<-~\xa1-\xff]{0,40}$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(token, value), { selector: ([name]) => name, maxLength: 8 }), (pairs) => {
        const lines = pairs.map(([name, text]) => `${name}=${text}; Path=/`);
        expect(carried(SHOP, lines) ?? '').toBe(pairs.map(([name, text]) => `${name}=${text}`).join('; '));
      }),
    );
  });
});
