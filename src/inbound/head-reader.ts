/** Gathers the bytes of a connection until a request head is whole, and keeps those that come too early. */
import { canBegin, Malformed, malformed } from './request-head.ts';

const EMPTY = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');
const CR = 13;
const LF = 10;
/** Longer than any method's name and the space behind it. */
const METHOD_BYTES = 24;

/** A head, with what was read behind it. */
export interface WholeHead {
  /** Its lines, each with its CRLF, without the blank line. */
  readonly text: string;
  readonly rest: Buffer;
}

export class HeadReader {
  private readonly maxBytes: number;
  private held: Buffer = EMPTY;
  /** Bytes kept. */
  length = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Takes bytes until a head is whole. Throws `Malformed` for what can never become one. */
  take(chunk: Buffer): WholeHead | undefined {
    const fresh = this.length === 0;
    // Empty lines before a request are no harm (RFC 9112, 2.2).
    const data = fresh ? withoutEmptyLines(chunk) : chunk;
    if (data.length === 0) return undefined;
    const searched = Math.max(0, this.length - 3);
    const all = fresh ? data : this.keep(data);
    const end = all.indexOf(HEAD_END, searched);
    if ((end === -1 ? all.length : end) > this.maxBytes) throw new Malformed('head too large', true);
    if (end === -1) {
      refuseEarly(all, searched);
      if (fresh) this.keep(all);
      return undefined;
    }
    this.held = EMPTY;
    this.length = 0;
    return { text: all.toString('latin1', 0, end + 2), rest: end + 4 === all.length ? EMPTY : all.subarray(end + 4) };
  }

  /** Adds to what is kept; the room doubles, so a trickled head costs no more than one that comes at once. */
  keep(data: Buffer): Buffer {
    const length = this.length + data.length;
    if (length > this.held.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, length * 2));
      this.held.copy(grown, 0, 0, this.length);
      this.held = grown;
    }
    data.copy(this.held, this.length);
    this.length = length;
    return this.held.subarray(0, length);
  }

  /** Gives away what is kept. */
  release(): Buffer {
    const kept = this.held.subarray(0, this.length);
    this.held = EMPTY;
    this.length = 0;
    return kept;
  }
}

const withoutEmptyLines = (chunk: Buffer): Buffer => {
  let at = 0;
  while (chunk[at] === CR || chunk[at] === LF) at++;
  return at === 0 ? chunk : chunk.subarray(at);
};

const refuseEarly = (all: Buffer, searched: number): void => {
  if (searched < METHOD_BYTES && !canBegin(all.toString('latin1', 0, METHOD_BYTES))) throw malformed('not HTTP');
  for (let lf = all.indexOf(LF, searched); lf !== -1; lf = all.indexOf(LF, lf + 1)) {
    if (all[lf - 1] !== CR) throw malformed('line ending');
  }
};
