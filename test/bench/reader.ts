/** Reads answers off a connection, parsing no more than a load client needs. */

export interface Answer {
  /** The server said or showed that the connection ends here. */
  readonly last: boolean;
}

export interface ReaderEvents {
  answered(answer: Answer): void;
  failed(why: string): void;
}

export interface Reader {
  feed(chunk: Buffer): void;
  /** The connection ended. */
  end(): void;
}

type Framing = 'length' | 'chunked' | 'end';

const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const CLOSE = /\r\nconnection: *close/i;
const LAST_CHUNK = '0\r\n\r\n';

/** Answers must be 200 and carry `page`; the first one is compared byte by byte unless it is chunked, the others by length. */
export const createReader = (page: Buffer, events: ReaderEvents): Reader => {
  let head: Buffer | undefined;
  let inBody = false;
  let framing: Framing = 'length';
  let got = 0;
  let last = false;
  let compared = false;
  let broken = false;
  let tail = '';

  const fail = (why: string): void => {
    if (broken) return;
    broken = true;
    events.failed(why);
  };

  const finish = (): void => {
    inBody = false;
    head = undefined;
    got = 0;
    tail = '';
    compared = true;
    events.answered({ last });
  };

  const differs = (chunk: Buffer): boolean =>
    !compared && framing !== 'chunked' && page.compare(chunk, 0, chunk.length, got, got + chunk.length) !== 0;

  const body = (chunk: Buffer): void => {
    if (differs(chunk)) {
      fail('the body is not what the origin sent');
      return;
    }
    got += chunk.length;
    if (framing === 'length') {
      if (got === page.length) finish();
      else if (got > page.length) fail('more bytes than announced');
      return;
    }
    if (framing !== 'chunked') return;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 7))).slice(-7);
    if (tail.endsWith(LAST_CHUNK) && got >= page.length) finish();
  };

  const opened = (text: string): void => {
    if (!text.startsWith('HTTP/1.1 200') && !text.startsWith('HTTP/1.0 200')) {
      fail(
        `answered ${text.slice(0, text.indexOf('\r\n'))} ${/\r\nx-(?:crawlera|squid)-error: *([^\r]*)/i.exec(text)?.[1] ?? ''}`,
      );
      return;
    }
    const length = LENGTH.exec(text);
    framing = length ? 'length' : CHUNKED.test(text) ? 'chunked' : 'end';
    last = framing === 'end' || CLOSE.test(text) || text.startsWith('HTTP/1.0');
    if (length && Number(length[1]) !== page.length) fail(`Content-Length ${length[1]}, expected ${page.length}`);
    inBody = true;
  };

  return {
    feed(chunk) {
      if (broken) return;
      if (inBody) {
        body(chunk);
        return;
      }
      const bytes: Buffer = head ? Buffer.concat([head, chunk]) : chunk;
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        head = bytes;
        return;
      }
      opened(bytes.toString('latin1', 0, end + 2));
      if (!broken && bytes.length > end + 4) body(bytes.subarray(end + 4));
    },
    end() {
      if (inBody && framing === 'end' && got === page.length) finish();
      else if (inBody || head) fail('cut short');
    },
  };
};
