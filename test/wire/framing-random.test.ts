/** Any bytes at all: split anywhere they mean the same (A07), mutated or random they crash nothing and smuggle nothing. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUTH, lineOn } from '../support/client.ts';
import { makeStage, statusesIn } from './transport-kit.ts';

const stage = makeStage({
  // Random bytes must not wait for a target that is not there.
  yaml: () => 'timeouts: { connect: 200ms, response: 500ms, responseMin: 100ms, responseMax: 1s, drain: 200ms }',
});

let callers = 0;

/** Every conversation from an address of its own: a mutated key is a wrong key, and guessing from one address is slowed down. */
const newAddress = (): string => `127.1.${(++callers >> 8) & 255}.${callers & 255}`;

const PASS = 'X-Crawlera-UA: pass\r\n';
const LAST = 'Connection: close\r\n';

interface Sent {
  /** As the target saw it. */
  readonly requests: readonly string[];
  readonly statuses: readonly number[];
}

/** Writes the pieces one after the other, each in a packet of its own, then ends; everything that came of it. */
const converse = (pieces: readonly Buffer[]): Promise<Sent> =>
  new Promise((resolve, reject) => {
    stage.origin.requests.length = 0;
    let text = '';
    const socket = connect({ port: stage.proxy.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`not closed, got ${JSON.stringify(text)}`));
    }, 5_000);
    socket.on('connect', async () => {
      for (const piece of pieces) {
        if (!socket.writable) return;
        socket.write(piece);
        if (pieces.length > 1) await new Promise((done) => setImmediate(done));
      }
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      const requests = stage.origin.requests.map(({ head, body }) => head + body);
      resolve({ requests, statuses: statusesIn(text) });
    });
  });

const VALID: Record<string, () => string> = {
  'a GET': () => `GET ${stage.site}/a?b HTTP/1.1\r\nHost: x\r\n${AUTH}${PASS}${LAST}X-A: 1\r\n\r\n`,
  'a POST with length': () =>
    `POST ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${PASS}${LAST}Content-Length: 11\r\n\r\nhello\r\nworld`,
  'a chunked PUT': () =>
    `PUT ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${PASS}${LAST}Transfer-Encoding: chunked\r\n\r\n3;e=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n`,
  'two requests': () =>
    `GET ${stage.site}/1 HTTP/1.1\r\nHost: x\r\n${AUTH}${PASS}\r\nGET ${stage.site}/2 HTTP/1.1\r\nHost: x\r\n${AUTH}${PASS}${LAST}\r\n`,
  'a tunnel with a request': () =>
    `CONNECT ${stage.authority} HTTP/1.1\r\n${AUTH}\r\nPOST /in HTTP/1.1\r\nHost: ${stage.authority}\r\n${PASS}${LAST}Content-Length: 5\r\n\r\nhello`,
};

/** Chunk borders are framing: they may differ, what they carry may not. */
const meaning = ({ requests, statuses }: Sent): unknown => ({ requests: [...requests].sort(), statuses });

describe.each(Object.entries(VALID))('%s', (_what, text) => {
  it('robustness A07 is forwarded identically wherever it is split', async () => {
    const bytes = Buffer.from(text(), 'latin1');
    const whole = meaning(await converse([bytes]));
    expect(whole).toMatchObject({ statuses: expect.arrayContaining([200]) });
    for (let at = 1; at < bytes.length; at++) {
      const split = meaning(await converse([bytes.subarray(0, at), bytes.subarray(at)]));
      expect([at, split]).toEqual([at, whole]);
    }
  });

  it('robustness A07 is forwarded identically byte by byte', async () => {
    const bytes = Buffer.from(text(), 'latin1');
    const whole = meaning(await converse([bytes]));
    expect(meaning(await converse([...bytes].map((byte) => Buffer.of(byte))))).toEqual(whole);
  });

  it('robustness A01 mutated anywhere gets nothing strange to the target and never two requests for one', async () => {
    const bytes = Buffer.from(text(), 'latin1');
    const wanted = (text().match(/(GET|POST|PUT) /g) ?? []).length;
    const edit = fc.record({
      at: fc.nat(bytes.length - 1),
      cut: fc.nat(4),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 3 }).map((raw) => Buffer.from(raw)),
        fc
          .constantFrom(
            '\r\n',
            '\n',
            '\r',
            '\0',
            ' ',
            '\t',
            ':',
            '\r\n\r\n',
            ';',
            'HTTP/1.1',
            '0\r\n\r\n',
            'Host: y\r\n',
          )
          .map((raw) => Buffer.from(raw)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        const mutated = edits.reduce<Buffer>(
          (from, { at, cut, put }) => Buffer.concat([from.subarray(0, at), put, from.subarray(at + cut)]),
          bytes,
        );
        const sent = await chat(mutated);
        for (const head of sent.requests) expect(head).toMatch(/^[A-Z]+ \/[^ \r\n]* HTTP\/1\.1\r\n[hH][oO][sS][tT]: /);
        expect(sent.requests.length).toBeLessThanOrEqual(wanted);
        expect(sent.statuses.every((status) => status === 200 || status >= 400)).toBe(true);
        expect(stage.proxy.bugs).toEqual([]);
      }),
      { numRuns: 250 },
    );
  });
});

/** Like `converse`, but ends its side when the answers are in: a mutation may have made the last request incomplete. */
const chat = (bytes: Buffer): Promise<Sent> =>
  new Promise((resolve, reject) => {
    stage.origin.requests.length = 0;
    let text = '';
    const socket = connect({ port: stage.proxy.port, host: '127.0.0.1', localAddress: newAddress() }, () =>
      socket.write(bytes),
    );
    const end = (): void => {
      socket.end();
    };
    let idle = setTimeout(end, 40);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`not closed after ${JSON.stringify(bytes.toString('latin1'))}, got ${JSON.stringify(text)}`));
    }, 5_000);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      clearTimeout(idle);
      idle = setTimeout(end, 15);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(idle);
      clearTimeout(timer);
      resolve({ requests: stage.origin.requests.map(({ head }) => head), statuses: statusesIn(text) });
    });
  });

describe('random bytes', () => {
  it('robustness A01 on the port crash nothing and reach nobody', async () => {
    const before = stage.origin.accepted();
    const noise = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.string({ minLength: 1, maxLength: 80, unit: 'binary' }).map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(noise, async (bytes) => {
        const { statuses } = await chat(Buffer.from(bytes));
        expect(statuses.length).toBeLessThanOrEqual(1);
        for (const status of statuses) expect(status).toBe(400);
        expect(stage.proxy.bugs).toEqual([]);
      }),
      { numRuns: 150 },
    );
    expect(stage.origin.accepted()).toBe(before);
  });

  it('robustness A01 with an end to them get exactly one 400 and a closed connection', async () => {
    // Letters and blanks make a line, an end of line makes it whole: there is always something to answer.
    const words = fc.string({
      unit: fc.constantFrom(...'abcGETPOSTHTTP/1. :\t\0\x7f\x80\xff"<>'),
      minLength: 1,
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(words, async (text) => {
        const { statuses } = await converse([Buffer.from(`x${text}\r\n\r\n\r\n`, 'latin1')]);
        expect(statuses).toEqual([400]);
      }),
      { numRuns: 200 },
    );
  });

  it('robustness A01 inside a tunnel crash nothing and reach nobody', async () => {
    const before = stage.origin.accepted();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100 }), async (bytes) => {
        const head = Buffer.from(`CONNECT ${stage.authority} HTTP/1.1\r\n${AUTH}\r\n`);
        const { statuses } = await chat(Buffer.concat([head, bytes]));
        expect(statuses[0]).toBe(200);
        for (const status of statuses.slice(1)) expect(status).toBe(400);
        expect(stage.proxy.bugs).toEqual([]);
      }),
      { numRuns: 100 },
    );
    expect(stage.origin.accepted()).toBe(before);
  });

  it('robustness A01 leave the proxy serving', async () => {
    const socket = connect(stage.proxy.port, '127.0.0.1');
    const client = lineOn(socket);
    expect((await client.ask(`GET ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`)).status).toBe(200);
    socket.destroy();
  });
});
