import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDuration, parsePortRange, parseSize, parseWhole } from '../../src/config/quantities.ts';

const outcome = <T>(parsed: { ok: true; value: T } | { ok: false; message: string }): T | string =>
  parsed.ok ? parsed.value : parsed.message;

describe('durations', () => {
  it.each([
    ['200ms', 200],
    ['12s', 12_000],
    ['30m', 1_800_000],
    ['1h', 3_600_000],
    ['0.5s', 500],
    ['0s', 0],
    ['0', 0],
    [0, 0],
  ])('reads %j as %i ms', (text, ms) => {
    expect(outcome(parseDuration(text))).toBe(ms);
  });

  it.each([
    '',
    '12',
    12,
    '12 sec',
    '-1s',
    '1d',
    's',
    '1.s',
    '0.0001ms',
    '1e3s',
    'constructor',
    '1__proto__',
    null,
    true,
    {},
  ])('refuses %j and says what is expected', (value) => {
    expect(outcome(parseDuration(value))).toMatch(/expected a duration such as 200ms/);
  });

  it('refuses what a timer cannot wait for', () => {
    expect(outcome(parseDuration('597h'))).toMatch(/longest duration/);
    expect(outcome(parseDuration('596h'))).toBe(596 * 3_600_000);
  });

  it('holds a least duration', () => {
    expect(outcome(parseDuration('999ms', 1000))).toBe('must be at least 1000ms');
  });

  it('reads back every whole number of every unit', () => {
    const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    fc.assert(
      fc.property(fc.nat(500), fc.constantFrom('ms', 's', 'm', 'h'), (n, unit) => {
        expect(outcome(parseDuration(`${n}${unit}`))).toBe(n * units[unit as keyof typeof units]);
      }),
    );
  });
});

describe('sizes', () => {
  it.each([
    ['64KiB', 65_536],
    ['100KB', 100_000],
    ['1MiB', 1_048_576],
    ['500MiB', 524_288_000],
    ['2GB', 2_000_000_000],
    ['10B', 10],
    [0, 0],
  ])('reads %j as %i bytes', (text, bytes) => {
    expect(outcome(parseSize(text))).toBe(bytes);
  });

  it.each(['64', 64, '1.5B', '64kib', 'MiB', '99999999999GiB', []])('refuses %j', (value) => {
    expect(outcome(parseSize(value))).toMatch(/expected a size such as/);
  });
});

describe('port ranges', () => {
  it.each([
    [443, [443, 443]],
    ['80', [80, 80]],
    ['1024-65535', [1024, 65_535]],
  ])('reads %j', (value, range) => {
    expect(outcome(parsePortRange(value))).toEqual(range);
  });

  it.each([0, 65_536, '2-1', '0-5', '1-65536', '1-2-3', 'http', 1.5, -1, null])('refuses %j', (value) => {
    expect(outcome(parsePortRange(value))).toMatch(/expected a port/);
  });
});

describe('whole numbers', () => {
  it.each([1.5, Number.NaN, '3', 0, 11, null])('refuses %j outside 1 to 10', (value) => {
    expect(outcome(parseWhole(value, 1, 10))).toBe('expected a whole number from 1 to 10');
  });
});
