import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFetchQuery } from '../../src/policy/fetch-query.ts';
import { parseAbsolute } from '../../src/policy/route.ts';

const urlOf = (value: string): string | undefined => parseFetchQuery(`url=${value}`)?.url;
const headersOf = (value: string): unknown =>
  parseFetchQuery(`url=http://a/&headers=${encodeURIComponent(value)}`)?.headers;

describe('Q-03 url', () => {
  it.each([
    ['https%3A%2F%2Fshop.localhost%2Fa%3Fb%3D1%26c', 'https://shop.localhost/a?b=1&c'],
    ['https://shop.localhost/a', 'https://shop.localhost/a'],
    ['https://shop.localhost/a?b=1', 'https://shop.localhost/a?b=1'],
    ['http://a/b+c', 'http://a/b+c'],
    ['http%3A%2F%2Fa%2Fb%2Bc', 'http://a/b+c'],
    ['http%3A%2F%2Fa%2Fb%2520c', 'http://a/b%20c'],
    ['http%3A%2F%2Fa%2Fb%20c', 'http://a/b%20c'],
    ['http://a/%C3%A9', 'http://a/%C3%A9'],
    ['http://a/%E9', 'http://a/%E9'],
    ['http://a/100%', 'http://a/100%'],
    ['http://a/%zz', 'http://a/%zz'],
    ['ftp://a/', 'ftp://a/'],
  ])('%s is %s', (value, url) => {
    expect(urlOf(value)).toBe(url);
  });

  it('stands anywhere in the query, the first one counts', () => {
    expect(parseFetchQuery('x=1&url=http://a/&url=http://b/')).toEqual({ url: 'http://a/', headers: [] });
  });

  it.each(['', 'url', 'url=', 'URL=http://a/', 'headers=A:1', 'curl=http://a/'])('%j has none', (query) => {
    expect(parseFetchQuery(query)).toBeUndefined();
  });

  it.each(['%0d%0a', '%0A', '%00', '%09', '%7f', '\r\n', '\0'])('robustness B01 %j in it is refused', (text) => {
    expect(urlOf(`http://a/b${text}X-Evil:1`)).toBeUndefined();
    expect(urlOf(`http://a${text}/`)).toBeUndefined();
  });

  it('any well-formed URL survives being encoded', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        expect(urlOf(encodeURIComponent(url))).toBe(url);
      }),
    );
  });

  it('an encoded IDN host reaches the host parser intact', () => {
    expect(parseAbsolute(urlOf(encodeURIComponent('http://m\u00fcller.example/\u00fc')) ?? '')).toEqual({
      scheme: 'http',
      host: 'xn--mller-kva.example',
      port: 80,
      path: '/%C3%BC',
    });
  });
});

describe('Q-04 headers', () => {
  it('are split at semicolons and first colons, both sides trimmed', () => {
    expect(headersOf('Accept: text/html ; X-Time:12:30;Empty:')).toEqual([
      ['Accept', 'text/html'],
      ['X-Time', '12:30'],
      ['Empty', ''],
    ]);
  });

  it('a part without colon belongs to the value before, its semicolon restored', () => {
    const agent = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)';
    expect(headersOf(`User-Agent: ${agent};Accept:*/*;q=0.8`)).toEqual([
      ['User-Agent', agent],
      ['Accept', '*/*;q=0.8'],
    ]);
  });

  it('a part whose name can be no header name belongs to the value before', () => {
    expect(headersOf('A:1;b c:2;:3;B:4')).toEqual([
      ['A', '1;b c:2;:3'],
      ['B', '4'],
    ]);
  });

  it('what comes before the first header is dropped', () => {
    expect(headersOf(';nothing;;A:1')).toEqual([['A', '1']]);
    expect(headersOf('')).toEqual([]);
    expect(parseFetchQuery('url=http://a/')?.headers).toEqual([]);
  });

  it('Q-03 plus is a space here, an encoded plus is a plus', () => {
    expect(parseFetchQuery('headers=A:b+c%2Bd%20e&url=http://a/')?.headers).toEqual([['A', 'b c+d e']]);
  });

  it.each([
    'Host',
    'connection',
    'Keep-Alive',
    'Proxy-Authorization',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Content-Length',
    'Expect',
  ])('%s is skipped with all that belongs to it', (name) => {
    expect(headersOf(`${name}: a; b;X-Ok:1`)).toEqual([['X-Ok', '1']]);
  });

  it('Q-05 control headers and Authorization of the caller are kept', () => {
    expect(headersOf('X-Crawlera-UA:pass;Authorization: Basic x')).toEqual([
      ['X-Crawlera-UA', 'pass'],
      ['Authorization', 'Basic x'],
    ]);
  });

  it.each(['1\r\nX-Evil: 2', '1\nX-Evil: 2', '1\rX', 'a\u0000b', 'a\u007fb'])(
    'robustness B01 the value %j is refused',
    (value) => {
      expect(headersOf(`X-A:${value}`)).toBeUndefined();
    },
  );

  it('bytes beyond ASCII and tabs are kept as bytes', () => {
    expect(parseFetchQuery('url=http://a/&headers=A:%C3%A9%09x')?.headers).toEqual([['A', '\u00c3\u00a9\tx']]);
    expect(parseFetchQuery('url=http://a/&headers=A:\u4e00')).toBeUndefined();
  });

  it('robustness B01 whatever is sent, no name or value could end a line', () => {
    const text = fc.string({
      unit: fc.constantFrom('%0d', '%0a', '%00', ':', ';', 'A', ' ', '+', '%', '\r', '\n', '\u00e9', '%3B', '%3A'),
    });
    fc.assert(
      fc.property(text, text, (url, headers) => {
        const parsed = parseFetchQuery(`url=http://a/${url}&headers=${headers}`);
        if (!parsed) return;
        expect(parsed.url).toMatch(/^[\x21-\x7e]+$/);
        for (const [name, value] of parsed.headers) {
          expect(name).toMatch(/^[!-9;-~]+$/);
          expect(value).not.toMatch(/[\r\n\0]/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
