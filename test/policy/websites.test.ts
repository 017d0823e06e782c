import { describe, expect, it } from 'vitest';
import type { WebsiteRule } from '../../src/model/settings.ts';
import { makeNameTable, makeWebsites } from '../../src/policy/websites.ts';

const DEFAULTS = { siteDelayMs: 200, slaveDelayMs: 1000 };
const BASE = { ...DEFAULTS, insecureTarget: false, forbidden: false };

const rule = (pattern: string, settings: Partial<WebsiteRule>): WebsiteRule => ({
  pattern,
  siteDelayMs: undefined,
  slaveDelayMs: undefined,
  insecureTarget: undefined,
  forbidden: undefined,
  ...settings,
});

describe('website settings', () => {
  it('without rules every host has the defaults', () => {
    const lookup = makeWebsites([], DEFAULTS);
    expect(lookup('a.example')).toEqual(BASE);
    expect(lookup('a.example')).toBe(lookup('b.example'));
  });

  it('an exact name is this host only, a suffix the names under it only', () => {
    const lookup = makeWebsites(
      [rule('shop.example', { siteDelayMs: 1000 }), rule('*.bad.example', { forbidden: true })],
      DEFAULTS,
    );
    expect(lookup('shop.example')).toEqual({ ...BASE, siteDelayMs: 1000 });
    expect(lookup('www.shop.example')).toEqual(BASE);
    expect(lookup('a.bad.example').forbidden).toBe(true);
    expect(lookup('a.b.bad.example').forbidden).toBe(true);
    expect(lookup('bad.example').forbidden).toBe(false);
    expect(lookup('xbad.example').forbidden).toBe(false);
  });

  it('the most specific rule wins, what it leaves open comes from the next', () => {
    const lookup = makeWebsites(
      [
        rule('*.example', { siteDelayMs: 1, slaveDelayMs: 2, forbidden: true }),
        rule('*.shop.example', { siteDelayMs: 3, insecureTarget: true }),
        rule('a.shop.example', { forbidden: false }),
      ],
      DEFAULTS,
    );
    expect(lookup('a.shop.example')).toEqual({
      siteDelayMs: 3,
      slaveDelayMs: 2,
      insecureTarget: true,
      forbidden: false,
    });
    expect(lookup('shop.example')).toEqual({ siteDelayMs: 1, slaveDelayMs: 2, insecureTarget: false, forbidden: true });
  });

  it('a delay of zero is a setting', () => {
    const lookup = makeWebsites([rule('a.example', { siteDelayMs: 0, slaveDelayMs: 0 })], DEFAULTS);
    expect(lookup('a.example')).toMatchObject({ siteDelayMs: 0, slaveDelayMs: 0 });
  });

  it('robustness B04 patterns are brought to the same form as hosts', () => {
    const lookup = makeWebsites(
      [
        rule('M\u00fcller.Example.', { siteDelayMs: 5 }),
        rule('*.SHOP.example', { siteDelayMs: 6 }),
        rule('no such', { siteDelayMs: 7 }),
      ],
      DEFAULTS,
    );
    expect(lookup('xn--mller-kva.example').siteDelayMs).toBe(5);
    expect(lookup('a.shop.example').siteDelayMs).toBe(6);
    expect(lookup('other.example').siteDelayMs).toBe(200);
  });

  it('the last of two rules with one pattern counts', () => {
    const lookup = makeWebsites([rule('a', { siteDelayMs: 1 }), rule('A', { siteDelayMs: 2 })], DEFAULTS);
    expect(lookup('a').siteDelayMs).toBe(2);
  });

  it('results are remembered, only so many of them', () => {
    const lookup = makeWebsites([rule('*.example', { siteDelayMs: 5 })], DEFAULTS);
    const first = lookup('h0.example');
    expect(lookup('h0.example')).toBe(first);
    for (let n = 1; n <= 10_000; n++) lookup(`h${n}.example`);
    expect(lookup('h0.example')).not.toBe(first);
    expect(lookup('h0.example')).toEqual(first);
  });
});

describe('name tables', () => {
  it('give the value of the most specific pattern', () => {
    const table = makeNameTable([
      ['*.a', 1],
      ['*.b.a', 2],
      ['b.a', 3],
    ]);
    expect(['x.a', 'x.b.a', 'b.a', 'a', 'c'].map(table)).toEqual([1, 2, 3, undefined, undefined]);
    expect(makeNameTable([])('a')).toBeUndefined();
  });
});
