import { describe, expect, it } from 'vitest';
import { makeScope } from '../../src/policy/ban-scope.ts';

describe('A-08 the websites of a rule', () => {
  it.each<[pattern: string, inside: string[], outside: string[]]>([
    [
      'shop.example',
      ['shop.example', 'www.shop.example', 'a.b.shop.example'],
      ['myshop.example', 'shop.example.org', 'example'],
    ],
    ['.shop.example', ['www.shop.example', 'a.b.shop.example'], ['shop.example', 'myshop.example']],
    [
      'google.*',
      ['google.com', 'www.google.de', 'www.google.co.uk', 'news.google.com.br'],
      [
        'google',
        'notgoogle.com',
        'google.evil.example',
        'google.com.evil.example',
        'www.google.com.evil.io',
        'goog.com',
      ],
    ],
    ['shop.example', ['shop.example'], ['192.0.2.1', '2001:db8::1']],
  ])('%s', (pattern, inside, outside) => {
    const fits = makeScope([pattern], []);
    for (const host of inside) expect(fits?.(host), host).toBe(true);
    for (const host of outside) expect(fits?.(host), host).toBe(false);
  });

  it('is every website without a pattern and with *', () => {
    expect(makeScope([], [])).toBeUndefined();
    expect(makeScope(['*'], [])).toBeUndefined();
    expect(makeScope(['shop.example', '*'], [])).toBeUndefined();
  });

  it('leaves out excluded ones', () => {
    const most = makeScope(['*'], ['.shop.example', 'google.*']);
    expect(['shop.example', 'other.example'].map((host) => most?.(host))).toEqual([true, true]);
    expect(['www.shop.example', 'www.google.fr'].map((host) => most?.(host))).toEqual([false, false]);
    expect(makeScope(['shop.example'], ['api.shop.example'])?.('v1.api.shop.example')).toBe(false);
  });
});
