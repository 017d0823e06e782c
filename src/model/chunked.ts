/** Takes chunked framing off a body: data passes as the buffers it came in, extensions and trailers are dropped (A12). */ import { isToken } from './field-text.ts';

/** Where body bytes go; false asks for a pause. */
export interface BodyOutput {
  write(chunk: Buffer): boolean;
}

/** What must not stand among trailers: whoever merged it into the head would read another body. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
/** Chunk extensions of one body, in bytes: nobody needs them, floods of them have been used against proxies. */
const MAX_EXTENSIONS = 16_384;
const MAX_TRAILERS = 65_536;
/** 2^48 bytes a chunk. */
const MAX_DIGITS = 12;

const hexDigit = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
};

type State = 'size' | 'extension' | 'sizeLf' | 'data' | 'dataCr' | 'dataLf' | 'trailer' | 'trailerLf';

export class ChunkedDecoder {
  done = false;
  private readonly malformed: (what: string) => Error;
  private readonly strict: boolean;
  /** The trailer line so far, where it is read. */
  private text = '';
  private state: State = 'size';
  private size = 0;
  private digits = 0;
  private extensions = 0;
  private trailers = 0;
  /** Bytes of the trailer line so far: an empty line ends the body. */
  private line = 0;
  private room = true;

  /** `malformed` makes the error for framing that cannot be read; `strict` refuses trailers that speak of framing too. */
  constructor(malformed: (what: string) => Error, strict = false) {
    this.malformed = malformed;
    this.strict = strict;
  }

  /** Makes it ready for the next body. */
  reset(): void {
    this.done = false;
    this.state = 'size';
    this.size = this.digits = this.extensions = this.trailers = this.line = 0;
  }

  /** Decodes from `from`; returns the index after what belongs to the body. `hasRoom` tells whether all writes had room. */
  read(chunk: Buffer, from: number, out: BodyOutput): number {
    let at = from;
    this.room = true;
    while (at < chunk.length && !this.done) {
      if (this.state === 'data') at = this.data(chunk, at, out);
      else this.step(chunk[at++] as number);
    }
    return at;
  }

  get hasRoom(): boolean {
    return this.room;
  }

  private data(chunk: Buffer, at: number, out: BodyOutput): number {
    const end = Math.min(chunk.length, at + this.size);
    this.size -= end - at;
    if (!out.write(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))) this.room = false;
    if (this.size === 0) this.state = 'dataCr';
    return end;
  }

  private step(byte: number): void {
    switch (this.state) {
      case 'size':
        this.sizeByte(byte);
        return;
      case 'extension':
        this.extensionByte(byte);
        return;
      case 'sizeLf':
        this.expect(byte, LF);
        this.state = this.size === 0 ? 'trailer' : 'data';
        this.line = 0;
        return;
      case 'dataCr':
        this.expect(byte, CR);
        this.state = 'dataLf';
        return;
      case 'dataLf':
        this.expect(byte, LF);
        this.state = 'size';
        this.digits = 0;
        return;
      case 'trailer':
        this.trailerByte(byte);
        return;
      case 'trailerLf':
        this.expect(byte, LF);
        this.done = this.line === 0;
        this.line = 0;
        this.state = 'trailer';
        return;
    }
  }

  private sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.digits > MAX_DIGITS) throw this.malformed('chunk size');
      this.size = this.size * 16 + digit;
      return;
    }
    if (this.digits === 0) throw this.malformed('chunk size');
    if (byte === CR) this.state = 'sizeLf';
    else if (byte === SEMICOLON) this.state = 'extension';
    else throw this.malformed('chunk size');
  }

  private extensionByte(byte: number): void {
    if (byte === CR) {
      this.state = 'sizeLf';
      return;
    }
    if ((byte < 32 && byte !== 9) || byte === 127 || ++this.extensions > MAX_EXTENSIONS) {
      throw this.malformed('chunk extension');
    }
  }

  private trailerByte(byte: number): void {
    if (++this.trailers > MAX_TRAILERS || byte === LF || byte === 0) throw this.malformed('trailer');
    if (byte !== CR) {
      this.line++;
      if (this.strict) this.text += String.fromCharCode(byte);
      return;
    }
    if (this.line > 0 && this.strict) this.checkTrailer();
    this.state = 'trailerLf';
  }

  private checkTrailer(): void {
    const colon = this.text.indexOf(':');
    const name = this.text.slice(0, colon).toLowerCase();
    this.text = '';
    if (!isToken(name, 0, name.length) || FRAMING.has(name)) throw this.malformed('trailer');
  }

  private expect(byte: number, wanted: number): void {
    if (byte !== wanted) throw this.malformed('chunk framing');
  }
}
