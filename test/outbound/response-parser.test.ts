/** The response parser alone: what it reads, what it refuses, and that pieces do not matter. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../src/model/errors.ts';
import { ResponseParser } from '../../src/outbound/response-parser.ts';

const MAX_HEAD = 4_096;

interface Read {
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly headers: readonly string[] | undefined;
  readonly body: string;
  readonly done: boolean;
  readonly surplus: boolean;
  readonly keepAlive: boolean | undefined;
}

/** Feeds the pieces as a connection would. */
const read = (pieces: readonly (string | Buffer)[], method = 'GET'): Read => {
  const parser = new ResponseParser(MAX_HEAD);
  parser.begin(method);
  let body = '';
  const out = {
    write(chunk: Buffer) {
      body += chunk.toString('latin1');
      return true;
    },
  };
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
    if (parser.head) parser.takeBody(bytes, out);
    else if (parser.takeHead(bytes) && parser.rest.length > 0 && !parser.done) parser.takeBody(parser.rest, out);
  }
  const { head, done, surplus } = parser;
  return {
    status: head?.status,
    reason: head?.reason,
    headers: head?.headers,
    body,
    done,
    surplus,
    keepAlive: head?.keepAlive,
  };
};

const refusal = (pieces: readonly string[], method = 'GET'): Fault => {
  try {
    read(pieces, method);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('accepted');
};

const OK = 'HTTP/1.1 200 OK\r\n';

const REFUSED: Record<string, string> = {
  'content-length with transfer-encoding': `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'transfer-encoding before content-length': `${OK}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n`,
  'two content-lengths': `${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\n`,
  'two equal content-lengths': `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\n`,
  'a list in content-length': `${OK}Content-Length: 3, 3\r\n\r\n`,
  'a negative content-length': `${OK}Content-Length: -1\r\n\r\n`,
  'a signed content-length': `${OK}Content-Length: +1\r\n\r\n`,
  'an empty content-length': `${OK}Content-Length: \r\n\r\n`,
  'a hexadecimal content-length': `${OK}Content-Length: 0x1\r\n\r\n`,
  'a content-length past all counting': `${OK}Content-Length: 99999999999999999999\r\n\r\n`,
  'gzip, chunked': `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  'identity as transfer-encoding': `${OK}Transfer-Encoding: identity\r\n\r\n`,
  'transfer-encoding twice': `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'transfer-encoding with a vertical tab': `${OK}Transfer-Encoding: \x0bchunked, \r\n\r\n`,
  'transfer-encoding on HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  'bare LF line ends': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
  'one bare LF': `${OK}A: b\nContent-Length: 0\r\n\r\n`,
  'a bare CR': `${OK}A: b\rContent-Length: 0\r\n\r\n`,
  'a folded line': `${OK}A: b\r\n c\r\n\r\n`,
  'a tab-folded line': `${OK}A: b\r\n\tc\r\n\r\n`,
  'a space before the colon': `${OK}Content-Length : 3\r\n\r\n`,
  'no colon': `${OK}Nonsense\r\n\r\n`,
  'an empty name': `${OK}: x\r\n\r\n`,
  'a control character in a name': `${OK}Content\x01-Length: 3\r\n\r\n`,
  'NUL in a value': `${OK}A: b\0c\r\n\r\n`,
  'HTTP/2.0': 'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
  'HTTP/0.9': '<html>hello</html>\r\n\r\n',
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a lower-case version': 'http/1.1 200 OK\r\n\r\n',
  'a four-digit status': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a two-digit status': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status below 100': 'HTTP/1.1 099 OK\r\n\r\n',
  'a signed status': 'HTTP/1.1 +20 OK\r\n\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
  'a status line alone cut short': 'HTTP/1.1\r\n\r\n',
  '101 nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
  'a storm of interim responses': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(21),
  'too large a head': `${OK}A: ${'x'.repeat(MAX_HEAD)}\r\n\r\n`,
  'too large a head without an end': `${OK}A: ${'x'.repeat(MAX_HEAD)}`,
  'an empty chunk size': `${OK}Transfer-Encoding: chunked\r\n\r\n\r\n`,
  'a 0x chunk size': `${OK}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`,
  'a negative chunk size': `${OK}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`,
  'a padded chunk size': `${OK}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`,
  'a chunk size past all counting': `${OK}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
  'a chunk size ended by LF': `${OK}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
  'chunk data longer than its size': `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n`,
  'an LF in a chunk extension': `${OK}Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n`,
  'a flood of chunk extensions': `${OK}Transfer-Encoding: chunked\r\n\r\n${`1;${'e'.repeat(2000)}\r\nx\r\n`.repeat(10)}`,
  'a flood of trailers': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'T: x\r\n'.repeat(20_000)}`,
  'an LF-ended trailer': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nT: x\n\r\n`,
};

describe('robustness A06: the parser refuses what two parsers could read differently', () => {
  it.each(Object.entries(REFUSED))('%s', (_name, text) => {
    const whole = refusal([text]);
    expect([whole.condition, whole.headRead]).toEqual(['send_failed', true]);
    expect(refusal([...text]).condition).toBe('send_failed');
  });

  it('more than 2000 fields', () => {
    const parser = new ResponseParser(1_000_000);
    parser.begin('GET');
    expect(() => parser.takeHead(Buffer.from(`${OK}${'A: b\r\n'.repeat(2001)}\r\n`))).toThrow(Fault);
  });

  it('refuses bare LF and foreign protocols before the sender stops sending', () => {
    expect(refusal(['HTTP/1.1 200 OK\nA']).reason).toContain('line ending');
    expect(refusal(['220 ']).reason).toContain('not HTTP');
  });
});

describe('the parser reads', () => {
  it('headers as they came, repeated and in order, with spaces around values gone', () => {
    const { headers, reason } = read([
      'HTTP/1.1 404 Not  Found\r\nsET-Cookie:\t a=1 \r\nSet-Cookie: b=\xe4\r\nX:\r\n\r\n',
    ]);
    expect(headers).toEqual(['sET-Cookie', 'a=1', 'Set-Cookie', 'b=\xe4', 'X', '']);
    expect(reason).toBe('Not  Found');
  });

  it('values without the control characters they may not hold', () => {
    expect(read([`HTTP/1.1 200 O\x07K\r\nA: \x01b\x7fc\td\x0b \r\n\r\n`])).toMatchObject({
      headers: ['A', 'bc\td'],
      reason: 'OK',
    });
  });

  it('statuses without a phrase and vendors own ones', () => {
    expect(read(['HTTP/1.1 200\r\n\r\n'])).toMatchObject({ status: 200, reason: '' });
    expect(read(['HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n']).status).toBe(999);
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ])('robustness A14: no body is awaited: %s %j', (method, text) => {
    expect(read([text], method)).toMatchObject({ body: '', done: true, surplus: false, keepAlive: true });
  });

  it('robustness A06: 204 and 304 with a body are delivered without it and their connection not used again', () => {
    expect(read(['HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n']).surplus).toBe(true);
    expect(read(['HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n']).keepAlive).toBe(false);
    expect(read(['HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n']).keepAlive).toBe(false);
  });

  it('bytes after the end as a reason not to use the connection again', () => {
    expect(read([`${OK}Content-Length: 2\r\n\r\nhiHTTP`])).toMatchObject({ body: 'hi', done: true, surplus: true });
    expect(read([`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nX`])).toMatchObject({ surplus: true });
    expect(read([`${OK}Content-Length: 2\r\n\r\nhi`, 'late'])).toMatchObject({ body: 'hi', surplus: true });
  });

  it('robustness A12: trailers are dropped', () => {
    const { headers, body, done } = read([
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nContent-Length: 9\r\n\r\n`,
    ]);
    expect([headers, body, done]).toEqual([['Transfer-Encoding', 'chunked'], 'hi', true]);
  });

  it('interim responses over, up to twenty', () => {
    const text = `${'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(20)}${OK}Content-Length: 1\r\n\r\nx`;
    expect(read([text])).toMatchObject({ status: 200, body: 'x', headers: ['Content-Length', '1'] });
  });

  it.each([
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', true],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nconnection: x, Close\r\n\r\n', false],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nProxy-Connection: close\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n', true],
    ['HTTP/1.1 200 OK\r\n\r\n', false],
  ])('whether the connection stays: %j -> %s', (text, kept) => {
    expect(read([text]).keepAlive).toBe(kept);
  });
});

const token = fc.stringMatching(/^[A-Za-z0-9-]{1,12}$/);
const value = fc.stringMatching(/^[!-~][ -~]{0,20}[!-~]$/);
const safeName = token.filter(
  (name) => !/^(content-length|transfer-encoding|connection|proxy-connection|keep-alive)$/i.test(name),
);
const framed = fc.oneof(
  fc.string().map((text) => {
    const body = Buffer.from(text, 'utf8').toString('latin1');
    return { lines: `Content-Length: ${body.length}\r\n`, wire: body, body };
  }),
  fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }).map((parts) => {
    const chunks = parts.map((part) => Buffer.from(part, 'utf8').toString('latin1'));
    const wire = chunks.map((chunk) => `${chunk.length.toString(16)};q="1"\r\n${chunk}\r\n`).join('');
    return { lines: 'Transfer-Encoding: chunked\r\n', wire: `${wire}0\r\nT: 1\r\n\r\n`, body: chunks.join('') };
  }),
);
const response = fc
  .record({
    interim: fc.boolean(),
    status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
    fields: fc.array(fc.tuple(safeName, value), { maxLength: 5 }),
    framed,
  })
  .map(({ interim, status, fields, framed: { lines, wire, body } }) => ({
    text: `${interim ? 'HTTP/1.1 100 Continue\r\n\r\n' : ''}HTTP/1.1 ${status} Fine\r\n${fields
      .map(([name, field]) => `${name}: ${field}\r\n`)
      .join('')}${lines}\r\n${wire}`,
    status,
    headers: fields.flat(),
    body,
  }));

describe('properties of the parser', () => {
  it('robustness A07: any valid response split at every offset reads the same', () => {
    fc.assert(
      fc.property(response, ({ text, status, headers, body }) => {
        const whole = read([text]);
        expect(whole).toMatchObject({ status, body, done: true, surplus: false });
        expect(whole.headers?.slice(0, headers.length)).toEqual(headers);
        for (let at = 1; at < text.length; at++) expect(read([text.slice(0, at), text.slice(at)])).toEqual(whole);
        expect(read([...text])).toEqual(whole);
      }),
      { numRuns: 100 },
    );
  });

  it('random bytes throw nothing but a Fault', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.concat([Buffer.from(OK), bytes])),
      fc
        .uint8Array({ maxLength: 100 })
        .map((bytes) => Buffer.concat([Buffer.from(`${OK}Transfer-Encoding: chunked\r\n\r\n`), bytes])),
    );
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 4 }), (pieces) => {
        try {
          read(pieces.map((piece) => Buffer.from(piece)));
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
