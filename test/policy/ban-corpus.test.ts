import { describe, expect, it } from 'vitest';
import { compileRules } from '../../src/policy/ban.ts';
import { judgeSample } from '../../src/policy/ban-sample.ts';
import { specimensOf } from './ban-corpus.ts';
import { BUILT_IN, builtIn } from './ban-support.ts';

const blocks = specimensOf('block');
const good = specimensOf('good');
const ids = BUILT_IN.map(({ id }) => id);
const everyRule = compileRules(BUILT_IN.map((rule) => ({ ...rule, enabled: true })));

describe('A-08 pages that block', () => {
  it.each(blocks)('$rules.0: $name', ({ rules: [rule], sample }) => {
    const { ban, suspect } = judgeSample(everyRule, sample);
    expect((ban ?? suspect)?.id).toBe(rule);
  });

  it('each rule catches at least one', () => {
    const caught = new Set(blocks.flatMap(({ rules }) => rules));
    expect(ids.filter((id) => !caught.has(id))).toEqual([]);
  });
});

describe('A-08 pages that look dangerous and are not', () => {
  it.each(good)('$name', ({ sample }) => {
    expect(judgeSample(builtIn, sample).ban?.id).toBeUndefined();
  });

  it('are at least sixty, and one comes near to each rule', () => {
    const near = new Set(good.flatMap(({ rules }) => rules));
    expect(good.length).toBeGreaterThanOrEqual(60);
    expect(ids.filter((id) => !near.has(id))).toEqual([]);
    expect([...near].filter((id) => !ids.includes(id))).toEqual([]);
  });
});

describe('A-08 the built-in rules', () => {
  it('name their source', () => {
    expect(BUILT_IN.filter(({ source }) => source.length === 0).map(({ id }) => id)).toEqual([]);
  });

  it('end with the generic ones', () => {
    expect(ids.slice(-4)).toEqual(['status-429', 'status-999', 'status-503-no-retry-after', 'status-403-html']);
  });

  it('look at no body of a page with status 200 that is longer than 30,000 bytes, outside their own websites', () => {
    const found = builtIn.judge(
      { method: 'GET', target: { scheme: 'https', host: 'shop.example', authority: 'shop.example' }, path: '/' },
      { status: 200, headers: ['Content-Type', 'text/html'], length: undefined },
    );
    expect(found).toMatchObject({ reach: 30_000 });
  });
});
