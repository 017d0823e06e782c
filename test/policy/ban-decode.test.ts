import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Coding, codingOf, decodeStart, decodeWithin } from '../../src/policy/ban-decode.ts';
import { BODY_BYTES } from '../../src/policy/ban-rule.ts';

const CODERS: readonly (readonly [name: string, coding: Coding, encode: (bytes: Buffer) => Buffer])[] = [
  ['identity', 'identity', (bytes) => bytes],
  ['gzip', 'gzip', (bytes) => zlib.gzipSync(bytes)],
  ['deflate', 'deflate', (bytes) => zlib.deflateSync(bytes)],
  ['deflate without its head', 'deflate', (bytes) => zlib.deflateRawSync(bytes)],
  ['br', 'br', (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } })],
];

const PAGE = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `<p>line ${i} ${(i * 7919) % 1000}</p>`).join(''));
const start = PAGE.subarray(0, BODY_BYTES);

describe('A-08 the start of a compressed body', () => {
  it.each(CODERS)('%s: the first 64 KiB of a whole body', (_, coding, encode) => {
    expect(decodeStart(encode(Buffer.from('a short page')), coding)?.toString()).toBe('a short page');
    expect(decodeStart(encode(PAGE), coding)?.equals(start)).toBe(true);
  });

  it.each(CODERS)('%s: what there is of a body cut off anywhere', (_, coding, encode) => {
    const whole = encode(PAGE.subarray(0, 30_000));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: whole.length }), (length) => {
        const decoded = decodeStart(whole.subarray(0, length), coding) ?? Buffer.alloc(0);
        expect(PAGE.subarray(0, decoded.length).equals(decoded)).toBe(true);
      }),
      { numRuns: 40 },
    );
    const half = decodeStart(whole.subarray(0, whole.length / 2), coding);
    expect(half?.length).toBeGreaterThan(5_000);
  });

  it.each(CODERS.slice(1))('%s: a body that is something else is broken', (_, coding) => {
    expect(
      decodeStart(Buffer.from('<html>not compressed at all, whatever the header says</html>'), coding),
    ).toBeUndefined();
  });

  it('says when more comes out than is asked for', () => {
    const packed = zlib.gzipSync(PAGE);
    expect(decodeWithin(packed, 'gzip', 5_000)).toBe('over');
    expect(decodeWithin(packed, 'gzip', PAGE.length)).toHaveLength(PAGE.length);
    expect(decodeWithin(Buffer.from('12345'), 'identity', 4)).toBe('over');
    expect(decodeWithin(Buffer.from('garbage'), 'gzip', 100)).toBe('broken');
  });

  it.each<[name: string, coding: Coding, bomb: Buffer]>([
    ['gzip', 'gzip', zlib.gzipSync(Buffer.alloc(50_000_000))],
    ['br', 'br', zlib.brotliCompressSync(Buffer.alloc(50_000_000))],
  ])('robustness G06: a %s bomb costs no more memory and time than a page', (_, coding, bomb) => {
    const before = process.memoryUsage().arrayBuffers;
    const decoded = decodeStart(bomb.subarray(0, BODY_BYTES), coding);
    expect(decoded?.length ?? 0).toBeLessThanOrEqual(BODY_BYTES);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  });

  it('reads the name of a coding', () => {
    expect([undefined, '', 'identity', 'GZip ', 'x-gzip', 'deflate', 'br'].map(codingOf)).toEqual([
      'identity',
      'identity',
      'identity',
      'gzip',
      'gzip',
      'deflate',
      'br',
    ]);
    expect(['gzip, br', 'compress', 'dcb'].map(codingOf)).toEqual([undefined, undefined, undefined]);
    expect(codingOf('zstd')).toBe('zstdDecompressSync' in zlib ? 'zstd' : undefined);
  });
});
