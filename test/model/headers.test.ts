import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allValues, countOf, type HeaderList, lastValue, listWords } from '../../src/model/headers.ts';

const LIST: HeaderList = ['Cookie', 'a=1', 'X-Test', 'one', 'x-TEST', 'two', 'X-Tess', 'no'];

describe('header lists', () => {
  it('H-03 the last of several values wins, whatever the case', () => {
    expect(lastValue(LIST, 'x-test')).toBe('two');
    expect(lastValue(LIST, 'absent')).toBeUndefined();
  });

  it('counts and collects every occurrence in order', () => {
    expect(countOf(LIST, 'x-test')).toBe(2);
    expect(countOf(LIST, 'cookie')).toBe(1);
    expect(countOf([], 'cookie')).toBe(0);
    expect(allValues(LIST, 'x-test')).toEqual(['one', 'two']);
    expect(allValues(LIST, 'absent')).toEqual([]);
  });

  it('never takes a value for a name', () => {
    expect(lastValue(['A', 'b', 'C', 'd'], 'b')).toBeUndefined();
    expect(countOf(['A', 'b', 'C', 'a'], 'a')).toBe(1);
  });

  it('splits comma lists into lower-case words without empty ones', () => {
    expect(listWords(' Accept-Language,, DNT ,')).toEqual(['accept-language', 'dnt']);
    expect(listWords('')).toEqual([]);
  });

  it('last value, count and collection agree on any list', () => {
    const pair = fc.tuple(fc.constantFrom('A', 'a', 'B', 'bb'), fc.string());
    fc.assert(
      fc.property(fc.array(pair), fc.constantFrom('a', 'b', 'bb'), (pairs, name) => {
        const values = pairs.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
        const list = pairs.flat();
        expect(allValues(list, name)).toEqual(values);
        expect(countOf(list, name)).toBe(values.length);
        expect(lastValue(list, name)).toBe(values.at(-1));
      }),
    );
  });
});
