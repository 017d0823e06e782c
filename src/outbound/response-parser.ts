/** Turns the bytes of one connection into responses, whatever the pieces they come in; one instance a connection. */
import { type BodyOutput, ChunkedDecoder } from '../model/chunked.ts';
import { malformed, type ResponseHead, readHead } from './head.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const START = Buffer.from('HTTP/1.');
const EMPTY = Buffer.alloc(0);
const MAX_INTERIM = 20;

export class ResponseParser {
  /** The final head, once read. */
  head: ResponseHead | undefined;
  /** Bytes that came with the head and belong to what follows it. */
  rest: Buffer = EMPTY;
  /** The whole response has been read. */
  done = false;
  /** More bytes than the response has: the connection cannot be used again. */
  surplus = false;
  /** Anything at all has been received. */
  started = false;
  private readonly maxHeadBytes: number;
  private readonly chunked = new ChunkedDecoder(malformed);
  private method = '';
  private webSocket = false;
  private interims = 0;
  private left = 0;
  private held: Buffer = EMPTY;
  private heldLength = 0;

  constructor(maxHeadBytes: number) {
    this.maxHeadBytes = maxHeadBytes;
  }

  /** Makes it ready for the response to a request with this method; a 101 is one only where a WebSocket was asked for. */
  begin(method: string, webSocket = false): void {
    this.method = method;
    this.webSocket = webSocket;
    this.head = undefined;
    this.rest = EMPTY;
    this.done = this.surplus = this.started = false;
    this.interims = this.left = 0;
    this.chunked.reset();
  }

  /** Takes bytes until the final head is complete: true, and `head` and `rest` are set. Throws `Fault`. */
  takeHead(chunk: Buffer): boolean {
    this.started = true;
    let data = chunk;
    while (data.length > 0) {
      const searched = Math.max(0, this.heldLength - 3);
      const all = this.heldLength === 0 ? data : this.hold(data);
      const end = all.indexOf(HEAD_END, searched);
      if (end === -1) {
        this.incomplete(all, searched);
        return false;
      }
      data = this.complete(all, end);
      if (this.head !== undefined) return true;
    }
    return false;
  }

  /** Takes body bytes after the head; returns false when the output asked for a pause. Throws `Fault`. */
  takeBody(chunk: Buffer, out: BodyOutput): boolean {
    if (this.done) {
      this.surplus = true;
      return true;
    }
    switch (this.head?.framing) {
      case 'length':
        return this.takeLength(chunk, out);
      case 'chunked': {
        const end = this.chunked.read(chunk, 0, out);
        this.done = this.chunked.done;
        this.surplus = end < chunk.length;
        return this.chunked.hasRoom;
      }
      default:
        return out.write(chunk);
    }
  }

  /** True when the sender's closing now is how this response ends. */
  get endsByClosing(): boolean {
    return this.head?.framing === 'close';
  }

  private takeLength(chunk: Buffer, out: BodyOutput): boolean {
    if (chunk.length < this.left) {
      this.left -= chunk.length;
      return out.write(chunk);
    }
    this.done = true;
    this.surplus = chunk.length > this.left;
    return out.write(this.surplus ? chunk.subarray(0, this.left) : chunk);
  }

  private complete(all: Buffer, end: number): Buffer {
    if (end > this.maxHeadBytes) throw malformed('head too large');
    const head = readHead(all.toString('latin1', 0, end + 2), this.method);
    this.held = EMPTY;
    this.heldLength = 0;
    const rest = end + 4 === all.length ? EMPTY : all.subarray(end + 4);
    if (head.status < 200 && !(head.status === 101 && this.webSocket)) {
      if (head.status === 101 || ++this.interims > MAX_INTERIM) throw malformed('interim responses');
      return rest;
    }
    this.head = head;
    this.rest = rest;
    this.left = head.length ?? 0;
    this.done = head.framing === 'none';
    this.surplus = this.done && rest.length > 0;
    return rest;
  }

  /** Not there yet: refuse at once what can never become a head, keep the rest. */
  private incomplete(all: Buffer, searched: number): void {
    if (all.length > this.maxHeadBytes) throw malformed('head too large');
    const length = Math.min(START.length, all.length);
    if (all.compare(START, 0, length, 0, length) !== 0) throw malformed('not HTTP');
    for (let lf = all.indexOf(10, searched); lf !== -1; lf = all.indexOf(10, lf + 1)) {
      if (all[lf - 1] !== 13) throw malformed('line ending');
    }
    if (this.heldLength === 0) this.hold(all);
  }

  /** Appends to the bytes held; the room doubles, so a trickled head costs no more than one that comes at once. */
  private hold(data: Buffer): Buffer {
    const length = this.heldLength + data.length;
    if (length > this.held.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, length * 2));
      this.held.copy(grown, 0, 0, this.heldLength);
      this.held = grown;
    }
    data.copy(this.held, this.heldLength);
    this.heldLength = length;
    return this.held.subarray(0, length);
  }
}
