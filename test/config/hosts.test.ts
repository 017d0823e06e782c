import { describe, expect, it } from 'vitest';
import { parseHostPattern, parseNetworkOrHost, readHost } from '../../src/config/hosts.ts';

describe('host names', () => {
  it.each([
    ['Shop.Example.', 'shop.example'],
    ['müller.example', 'xn--mller-kva.example'],
    ['[2001:DB8::0:1]', '2001:db8::1'],
    ['::1', '::1'],
    ['192.0.2.1', '192.0.2.1'],
    ['under_score.example', 'under_score.example'],
  ])('robustness B04 brings %s to the one form %s', (text, host) => {
    expect(readHost(text)).toBe(host);
  });

  it.each([
    '',
    ' ',
    'a b',
    'a/b',
    'user@host',
    'host:80',
    '127.1',
    '0x7f.1',
    '2130706433',
    'fe80::1%eth0',
    '-a.example',
    'a..b',
    'a%62c',
  ])('refuses %j', (text) => {
    expect(readHost(text)).toBeUndefined();
  });
});

describe('patterns and networks', () => {
  it('keeps the star of a pattern and normalises the rest', () => {
    expect(parseHostPattern('*.Shop.Example')).toEqual({ ok: true, value: '*.shop.example' });
  });

  it.each(['*', '*.', 'a.*.example', '*.192.0.2.1', 5])('refuses the pattern %j', (value) => {
    expect(parseHostPattern(value).ok).toBe(false);
  });

  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['FD00::/8', 'fd00::/8'],
    ['::1', '::1/128'],
    ['*.lan.example', '*.lan.example'],
  ])('reads %s as %s', (text, value) => {
    expect(parseNetworkOrHost(text)).toEqual({ ok: true, value });
  });

  it.each(['10.0.0.0/33', '::/129', '10.0.0/8', '10.0.0.0/', '10.0.0.0/-1', '300.1.1.1/8', 10])(
    'refuses %j',
    (value) => {
      expect(parseNetworkOrHost(value).ok).toBe(false);
    },
  );
});
