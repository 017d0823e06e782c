/** The hop-by-hop pair of a WebSocket handshake, and its dress. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../src/model/agents.ts';
import { dressHandshake } from '../../src/policy/dress-handshake.ts';
import { forwardedHeaders } from '../../src/policy/forward.ts';
import { handshakeHeaders, hasOption, namesWebSocket, switchingHeaders } from '../../src/policy/upgrade.ts';

const AUTHORITY = 'shop.localhost';
const flat = (text: string): string[] => text.split('\n').flatMap((line) => line.split(': ') as [string, string]);
const handshake = (raw: readonly string[]): string[] => handshakeHeaders(raw, forwardedHeaders(raw, AUTHORITY).headers);

describe('what is asked for', () => {
  it.each([
    ['websocket', true],
    ['WebSocket', true],
    ['h2c, websocket', true],
    ['websockets', false],
    ['h2c', false],
    ['', false],
    [undefined, false],
  ])('T-18 Upgrade: %s', (value, expected) => expect(namesWebSocket(value)).toBe(expected));

  it('T-18 options of Connection are compared as words', () => {
    expect([hasOption('keep-alive, Close', 'close'), hasOption('disclose', 'close')]).toEqual([true, false]);
  });
});

describe('a handshake', () => {
  it('F-04 keeps Connection and Upgrade where the client has them', () => {
    const raw = flat(`Host: x
Proxy-Authorization: Basic eA==
Connection: keep-alive, Upgrade
X-Crawlera-UA: pass
Origin: http://x
upgrade: websocket
Sec-WebSocket-Key: k`);
    expect(handshake(raw)).toEqual(
      flat(`Host: ${AUTHORITY}
Connection: keep-alive, Upgrade
Origin: http://x
upgrade: websocket
Sec-WebSocket-Key: k`),
    );
  });

  it.each([
    [
      'names another hop-by-hop field',
      'Upgrade, X-Hop',
      'websocket',
      ['Connection', 'Upgrade', 'Upgrade', 'websocket'],
    ],
    ['offers more', 'upgrade', 'h2c, websocket', ['Connection', 'upgrade', 'Upgrade', 'websocket']],
  ])('A08 F-01 %s', (_what, connection, upgrade, expected) => {
    const raw = ['Host', AUTHORITY, 'Connection', connection, 'X-Hop', '1', 'Upgrade', upgrade];
    expect(
      handshake(raw)
        .filter((word) => word !== 'X-Hop' && word !== '1')
        .slice(2),
    ).toEqual(expected);
    expect(handshake(raw).includes('X-Hop')).toBe(!connection.includes('X-Hop'));
  });

  it('A08 several Connection lines: the one that asks counts', () => {
    const raw = ['Connection', 'X-A', 'X-A', '1', 'Connection', 'Upgrade', 'Upgrade', 'websocket', 'X-B', '2'];
    expect(handshake(raw)).toEqual(['Host', AUTHORITY, 'Connection', 'Upgrade', 'Upgrade', 'websocket', 'X-B', '2']);
  });

  it('F-04 is otherwise what an ordinary request becomes, whatever the headers', () => {
    const name = fc.constantFrom(
      'Host',
      'Cookie',
      'X-A',
      'x-a',
      'TE',
      'Keep-Alive',
      'X-Crawlera-UA',
      'Sec-WebSocket-Key',
    );
    const line = fc.tuple(name, fc.constantFrom('1', 'a, b'));
    fc.assert(
      fc.property(fc.array(line), fc.array(line), (before, after) => {
        const raw = [...before.flat(), 'Connection', 'Upgrade', 'Upgrade', 'websocket', ...after.flat()];
        const plain = forwardedHeaders(raw, AUTHORITY).headers;
        const own = handshake(raw);
        const without = own.filter((_, i) => !/^(connection|upgrade)$/i.test(own[i - (i % 2)] as string));
        expect(without).toEqual(plain);
        expect(own.length).toBe(plain.length + 4);
      }),
    );
  });
});

describe('a 101', () => {
  it('A09 F-06 loses what is hop-by-hop or ours, and names its protocol', () => {
    const raw = flat(`Upgrade: websocket
Connection: Upgrade, X-Hop
X-Hop: 1
Transfer-Encoding: chunked
Content-Length: 0
X-Crawlera-Error: banned
Sec-WebSocket-Accept: a
Set-Cookie: a=1
Set-Cookie: b=2`);
    expect(switchingHeaders(raw)).toEqual(
      flat(`Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: a
Set-Cookie: a=1
Set-Cookie: b=2`),
    );
  });
});

describe('the dress of a handshake', () => {
  const browser: Agent = {
    userAgent: 'Mozilla/5.0 Firefox/160.0',
    weight: 1,
    family: 'firefox',
    major: 160,
    platform: 'Linux',
    mobile: false,
  };
  const raw = flat(`Host: x
Connection: Upgrade
user-agent: mine
Accept-Language: de
Accept: */*
DNT: 1
sec-ch-ua: "mine"
Upgrade: websocket
Sec-WebSocket-Key: k
Sec-WebSocket-Protocol: chat`);

  it('G-03 T-18 replaces what tells of the browser, in place, and leaves the handshake alone', () => {
    expect(dressHandshake(raw, browser, []).headers).toEqual(
      flat(`Host: x
Connection: Upgrade
user-agent: ${browser.userAgent}
Accept-Language: en-US,en;q=0.9
Upgrade: websocket
Accept-Encoding: identity
Sec-WebSocket-Key: k
Sec-WebSocket-Protocol: chat`),
    );
  });

  it('H-24 lets through what Profile-Pass names', () => {
    const { headers } = dressHandshake(raw, browser, ['accept-language', 'dnt']);
    expect(headers.join('|')).toContain('|Accept-Language|de|DNT|1|Upgrade|');
    expect(headers).not.toContain('Accept');
  });

  it('G-03 adds what is missing before the key, or at the end', () => {
    const added = ['User-Agent', browser.userAgent, 'Accept-Encoding', 'identity', 'Accept-Language', 'en-US,en;q=0.9'];
    expect(dressHandshake(['Host', 'x', 'Sec-WebSocket-Key', 'k'], browser, []).headers).toEqual([
      'Host',
      'x',
      ...added,
      'Sec-WebSocket-Key',
      'k',
    ]);
    expect(dressHandshake(['Host', 'x'], browser, []).headers).toEqual(['Host', 'x', ...added]);
  });
});
