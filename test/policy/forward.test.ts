import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isControlHeader } from '../../src/model/controls.ts';
import { answerHeaders, forwardedHeaders } from '../../src/policy/forward.ts';

const AUTHORITY = 'shop.localhost:8080';
const forwarded = (...raw: string[]): string[] => forwardedHeaders(raw, AUTHORITY).headers;

describe('request headers', () => {
  it('F-04 what is end-to-end keeps order, case, spelling and repetition', () => {
    const raw = [
      'hOsT',
      AUTHORITY,
      'X-b',
      '1',
      'accept',
      '*/*',
      'X-B',
      '2',
      'Cookie',
      'a=1',
      'cookie',
      'b=2',
      'Empty',
      '',
    ];
    expect(forwarded(...raw)).toEqual(raw);
  });

  it('robustness A11 Host is rewritten in place, whatever the client sent', () => {
    expect(forwarded('A', '1', 'host', 'evil.example', 'B', '2')).toEqual(['A', '1', 'host', AUTHORITY, 'B', '2']);
  });

  it('T-12 a missing Host is put first', () => {
    const result = forwardedHeaders(['A', '1'], AUTHORITY);
    expect(result).toMatchObject({ headers: ['Host', AUTHORITY, 'A', '1'], hosts: 0, host: undefined });
    expect(forwarded()).toEqual(['Host', AUTHORITY]);
  });

  it('robustness A01 of several Host headers one goes out and the request is marked', () => {
    const result = forwardedHeaders(['Host', 'a', 'HOST', 'b', 'X', '1'], AUTHORITY);
    expect(result).toMatchObject({
      headers: ['Host', AUTHORITY, 'X', '1'],
      hosts: 2,
      host: 'a',
      malformed: 'two Host headers',
    });
  });

  it.each([
    'X-Crawlera-UA',
    'x-crawlera-session',
    'X-CRAWLERA-Made-Up',
    'X-Crawlera-',
    'Zyte-Device',
    'zyte-anything',
    'Proxy-Authorization',
    'proxy-authorization',
    'Proxy-Connection',
    'Proxy-Authenticate',
    'Proxy-Anything',
    'Connection',
    'Keep-Alive',
    'TE',
    'te',
    'Trailer',
    'Upgrade',
    'Expect',
    'Content_Length',
    'transfer_encoding',
  ])('F-01 robustness A09 C01 %s does not cross', (name) => {
    expect(forwarded('Host', 'x', name, '1', 'After', 'y')).toEqual(['Host', AUTHORITY, 'After', 'y']);
  });

  it.each([
    'Authorization',
    'Cookie',
    'Referer',
    'User-Agent',
    'Content-Type',
    'Content-Encoding',
    'Cache-Control',
    'Pragma',
    'Priority',
    'Proxy',
    'X-Forwarded-For',
    'X-Crawler',
    'X-Crawlera',
    'Zyte',
    'Zytex-A',
    'Upgrade-Insecure-Requests',
    'Via',
    'Expires',
    'Hosts',
    'Accept-Encoding',
    'Sec-WebSocket-Key',
    'H',
    '\u00e9',
    'X-'.padEnd(40, 'y'),
  ])('F-03 F-04 %s crosses', (name) => {
    expect(forwarded('Host', AUTHORITY, name, 'v')).toEqual(['Host', AUTHORITY, name, 'v']);
  });

  it('robustness A08 what Connection names goes, wherever it stands', () => {
    expect(
      forwarded('Host', 'x', 'X-Hop', '1', 'Connection', 'close, X-Hop , x-other', 'X-Other', '2', 'X-End', '3'),
    ).toEqual(['Host', AUTHORITY, 'X-End', '3']);
    const two = forwarded('Connection', 'A', 'Host', 'x', 'connection', 'B', 'A', '1', 'B', '2', 'C', '3');
    expect(two).toEqual(['Host', AUTHORITY, 'C', '3']);
    expect(forwarded('Connection', 'close', 'Host', 'x', 'Connection', 'B', 'B', '2')).toEqual(['Host', AUTHORITY]);
    expect(forwarded('Connection', 'B', 'Host', 'x', 'Connection', 'Keep-Alive', 'B', '2')).toEqual([
      'Host',
      AUTHORITY,
    ]);
  });

  it.each(['close', 'CLOSE', 'Keep-Alive', 'KEEP-ALIVE', '', ' , ', 'other', 'clone', 'keep_alive'])(
    'a Connection of %j takes nothing else along',
    (value) => {
      expect(forwarded('Host', 'x', 'Connection', value, 'X', '1')).toEqual(['Host', AUTHORITY, 'X', '1']);
    },
  );

  it('F-04 the framing line stays where the client had it, in its own spelling', () => {
    expect(forwarded('A', '1', 'content-LENGTH', ' 5 ', 'Host', 'x')).toEqual([
      'A',
      '1',
      'content-LENGTH',
      '5',
      'Host',
      AUTHORITY,
    ]);
    expect(forwarded('Host', 'x', 'transfer-encoding', 'Chunked', 'B', '2')).toEqual([
      'Host',
      AUTHORITY,
      'transfer-encoding',
      'chunked',
      'B',
      '2',
    ]);
  });

  it('robustness A08 framing and Host cannot be nominated away', () => {
    const raw = ['Host', 'x', 'Connection', 'host, content-length, transfer-encoding', 'Content-Length', '5'];
    expect(forwardedHeaders(raw, AUTHORITY)).toMatchObject({
      headers: ['Host', AUTHORITY, 'Content-Length', '5'],
      contentLength: 5,
      malformed: undefined,
    });
    const chunked = ['Host', 'x', 'Connection', 'transfer-encoding', 'Transfer-Encoding', 'chunked'];
    expect(forwardedHeaders(chunked, AUTHORITY)).toMatchObject({
      headers: ['Host', AUTHORITY, 'Transfer-Encoding', 'chunked'],
      chunked: true,
      malformed: undefined,
    });
  });

  it('T-17 T-18 Expect and Upgrade are taken out and reported as sent', () => {
    const result = forwardedHeaders(
      ['Expect', '100-Continue', 'Upgrade', 'WebSocket', 'Connection', 'Upgrade'],
      AUTHORITY,
    );
    expect(result).toMatchObject({ headers: ['Host', AUTHORITY], expect: '100-Continue', upgrade: 'WebSocket' });
    expect(forwardedHeaders([], AUTHORITY)).toMatchObject({ expect: undefined, upgrade: undefined });
  });

  it.each<[raw: string[], contentLength: number | undefined, chunked: boolean, malformed: string | undefined]>([
    [[], undefined, false, undefined],
    [['Content-Length', '0'], 0, false, undefined],
    [['content-length', ' 42 '], 42, false, undefined],
    [['Transfer-Encoding', 'Chunked '], undefined, true, undefined],
    [['Content-Length', '5', 'Content-Length', '5'], 5, false, 'two Content-Length headers'],
    [['Content-Length', '5, 5'], undefined, false, 'unusable Content-Length'],
    [['Content-Length', ''], undefined, false, 'unusable Content-Length'],
    [['Content-Length', '-1'], undefined, false, 'unusable Content-Length'],
    [['Content-Length', '+1'], undefined, false, 'unusable Content-Length'],
    [['Content-Length', '0x10'], undefined, false, 'unusable Content-Length'],
    [['Content-Length', '1'.repeat(16)], undefined, false, 'unusable Content-Length'],
    [['Content-Length', '5', 'Transfer-Encoding', 'chunked'], 5, true, 'Content-Length with Transfer-Encoding'],
    [['Transfer-Encoding', 'gzip, chunked'], undefined, false, 'unsupported Transfer-Encoding'],
    [['Transfer-Encoding', 'identity'], undefined, false, 'unsupported Transfer-Encoding'],
    [
      ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
      undefined,
      true,
      'two Transfer-Encoding headers',
    ],
  ])('robustness A01 A03 framing of %j', (raw, contentLength, chunked, malformed) => {
    expect(forwardedHeaders(raw, AUTHORITY)).toMatchObject({ contentLength, chunked, malformed });
  });

  it('F-02 nothing is added beside Host, nothing of ours or hop-by-hop ever gets through', () => {
    const known = [
      'Connection',
      'TE',
      'X-Crawlera-UA',
      'Zyte-Device',
      'Proxy-X',
      'Host',
      'Accept',
      'Cookie',
      'Keep-Alive',
    ];
    const name = fc.oneof(fc.constantFrom(...known), fc.stringMatching(/^[A-Za-z-]{1,20}$/));
    const pairs = fc.array(fc.tuple(name, fc.constantFrom('close', '1', 'accept', 'cookie, x')), { maxLength: 12 });
    fc.assert(
      fc.property(pairs, (list) => {
        const headers = forwarded(...list.flat());
        const names = headers.filter((_, i) => i % 2 === 0);
        expect(names.filter((each) => each.toLowerCase() === 'host')).toHaveLength(1);
        for (const each of names) {
          const lower = each.toLowerCase();
          expect(isControlHeader(lower) || lower.startsWith('proxy-')).toBe(false);
          expect(['connection', 'te', 'keep-alive', 'trailer', 'upgrade', 'expect']).not.toContain(lower);
        }
        const sent = list.map(([each]) => each);
        const rest = names.filter((each) => each.toLowerCase() !== 'host');
        let at = 0;
        for (const each of rest) at = sent.indexOf(each, at) + 1 || Number.NaN;
        expect(at).not.toBeNaN();
      }),
    );
  });

  it('the client list is left as it was', () => {
    const raw = Object.freeze(['Connection', 'A', 'A', '1', 'B', '2']);
    expect(forwarded(...raw)).toEqual(['Host', AUTHORITY, 'B', '2']);
  });
});

describe('response headers', () => {
  it('T-16 F-04 what is end-to-end stays as it is', () => {
    const raw = [
      'Server',
      'x',
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'Content-Encoding',
      'gzip',
      'Content-Length',
      '5',
    ];
    expect(answerHeaders(raw, true)).toEqual(raw);
  });

  it.each([
    'X-Crawlera-Error',
    'x-crawlera-session',
    'X-Crawlera-',
    'Zyte-Error',
    'zyte-error-type',
    'Zyte-Errors',
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
  ])('F-06 robustness A09 %s of the target does not reach the client', (name) => {
    expect(answerHeaders([name, 'x', 'After', 'y'], true)).toEqual(['After', 'y']);
  });

  it.each([
    'Zyte-Other',
    'X-Crawler',
    'X-Powered-By',
    'Z',
    'Host',
    'Expect',
    'Upgrade-Insecure-Requests',
    'P3P',
    'Via',
  ])('R-04 %s of the target is passed on', (name) => {
    expect(answerHeaders([name, 'x'], true)).toEqual([name, 'x']);
  });

  it('robustness A08 nominated fields go, Content-Length never', () => {
    const raw = ['Connection', 'X-Hop, content-length', 'X-Hop', '1', 'Content-Length', '3', 'X-End', '2'];
    expect(answerHeaders(raw, true)).toEqual(['Content-Length', '3', 'X-End', '2']);
    expect(answerHeaders(['A', '1', 'Connection', 'a', 'Connection', 'b', 'B', '2'], true)).toEqual([]);
    expect(answerHeaders(['A', '1', 'Connection', 'close'], true)).toEqual(['A', '1']);
  });

  it('Content-Length is kept once, or dropped when told', () => {
    expect(answerHeaders(['Content-Length', '3', 'A', '1', 'Content-Length', '3'], true)).toEqual([
      'Content-Length',
      '3',
      'A',
      '1',
    ]);
    expect(answerHeaders(['Content-Length', '3', 'A', '1'], false)).toEqual(['A', '1']);
  });

  it('robustness A06 a length beside Transfer-Encoding is dropped, in either order', () => {
    const coding = ['Transfer-Encoding', 'chunked'];
    expect(answerHeaders(['A', '1', 'Content-Length', '3', 'B', '2', ...coding], true)).toEqual(['A', '1', 'B', '2']);
    expect(answerHeaders([...coding, 'Content-Length', '3', 'A', '1'], true)).toEqual(['A', '1']);
    expect(answerHeaders([...coding, 'A', '1'], false)).toEqual(['A', '1']);
  });

  it('R-04 no website can speak in our name', () => {
    const name = fc.oneof(
      fc.stringMatching(/^([Xx]-[Cc]rawlera-|[Zz]yte-Error)[A-Za-z-]{0,8}$/),
      fc.stringMatching(/^[A-Za-z-]{1,12}$/),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 10 }), (pairs) => {
        const names = answerHeaders(pairs.flat(), true).filter((_, i) => i % 2 === 0);
        expect(names.filter((each) => /^(x-crawlera-|zyte-error)/i.test(each))).toEqual([]);
      }),
    );
  });
});
