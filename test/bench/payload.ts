/** The bytes the bench origin answers with; the client knows them too and compares. */

export const BODY_BYTES = { '1k': 1024, '100k': 100 * 1024 } as const;
export type BodyName = keyof typeof BODY_BYTES;

const TOP = '<!doctype html><html><head><title>Bench</title></head><body>\n';
const LINE = '<p>The quick brown fox jumps over the lazy dog, as it does on every page.</p>\n';
const BOTTOM = '</body></html>\n';

/** An HTML page of exactly so many bytes: HTML, so that whoever judges pages has something to judge. */
export const pageOf = (bytes: number): Buffer => {
  const middle = bytes - TOP.length - BOTTOM.length;
  return Buffer.from(TOP + LINE.repeat(Math.ceil(middle / LINE.length)).slice(0, middle) + BOTTOM, 'latin1');
};

/** A whole answer as it stands on the wire, with the header fields of an ordinary small site. */
export const answerOf = (bytes: number, last: boolean): Buffer =>
  Buffer.concat([
    Buffer.from(
      'HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n' +
        'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\nVary: Accept-Encoding\r\n' +
        `Content-Length: ${bytes}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`,
      'latin1',
    ),
    pageOf(bytes),
  ]);
