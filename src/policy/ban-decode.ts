/** The start of a compressed body, decoded from a copy within bounds (robustness G06). */
import * as zlib from 'node:zlib';
import { BODY_BYTES } from './ban-rule.ts';

export type Coding = 'identity' | 'gzip' | 'deflate' | 'br' | 'zstd';

type Decoder = (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;

/** `deflate` should have a zlib head; some servers send it without. */
const inflate: Decoder = (bytes, options) => {
  const withFlush = { ...options, finishFlush: Z_SYNC_FLUSH };
  const hasHead = ((bytes[0] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
  return hasHead ? zlib.inflateSync(bytes, withFlush) : zlib.inflateRawSync(bytes, withFlush);
};

/** Newer than the oldest Node this runs on. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: Decoder };

const DECODERS: Readonly<Record<Coding, Decoder | undefined>> = {
  identity: (bytes) => bytes,
  gzip: (bytes, options) => zlib.gunzipSync(bytes, { ...options, finishFlush: Z_SYNC_FLUSH }),
  deflate: inflate,
  br: (bytes, options) => zlib.brotliDecompressSync(bytes, { ...options, finishFlush: BROTLI_OPERATION_FLUSH }),
  zstd: zstdDecompressSync,
};

const NAMES = new Map<string, Coding>([
  ['', 'identity'],
  ['identity', 'identity'],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ...(zstdDecompressSync ? [['zstd', 'zstd'] as const] : []),
]);

/** By a `Content-Encoding`; `undefined` for one that cannot be decoded here, several in a row among them. */
export const codingOf = (value: string | undefined): Coding | undefined =>
  value === undefined ? 'identity' : NAMES.get(value.trim().toLowerCase());

/** Decoding in one go stops at so many bytes. */
const MOST_OUTPUT = 4 * BODY_BYTES;

const isTooLong = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';

/** `bytes` may be cut off anywhere. `broken`: not what the coding says. `over`: more than `most` bytes come out. */
export const decodeWithin = (bytes: Buffer, coding: Coding, most: number): Buffer | 'over' | 'broken' => {
  try {
    const decoded = (DECODERS[coding] as Decoder)(bytes, { maxOutputLength: most });
    return decoded.length > most ? 'over' : decoded;
  } catch (error) {
    return isTooLong(error) ? 'over' : 'broken';
  }
};

/** Pages are packed twenty to one at best; more is a bomb, and judged by its head. */
const MOST_RATIO = 250;
const MOST_TRIES = 5;

/** The first `BODY_BYTES` decoded bytes of a body of which `bytes` is the start; `undefined` when it is broken. */
export const decodeStart = (bytes: Buffer, coding: Coding): Buffer | undefined => {
  if (coding === 'identity') return bytes.length <= BODY_BYTES ? bytes : bytes.subarray(0, BODY_BYTES);
  let size = bytes.length;
  for (let i = 0; i < MOST_TRIES; i++, size >>= 1) {
    const decoded = decodeWithin(bytes.subarray(0, size), coding, MOST_OUTPUT);
    if (typeof decoded !== 'string') return decoded.subarray(0, BODY_BYTES);
    if (decoded === 'broken' || MOST_OUTPUT > size * MOST_RATIO) return undefined;
    // Too much comes out: less is put in.
  }
  return undefined;
};
