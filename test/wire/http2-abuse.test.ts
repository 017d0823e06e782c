/** Clients of HTTP/2 that break its rules or wear us out: their stream or connection ends, nobody else's (robustness A10, F02). */
import { describe, expect, it, vi } from 'vitest';
import {
  answerOf,
  ask,
  END_HEADERS,
  END_STREAM,
  frame,
  literals,
  openAlpn,
  openH2,
  openRaw,
  type RawH2,
  TYPE,
} from '../support/h2-client.ts';
import { reply } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { makeH2Stage, PLAIN } from './http2-kit.ts';

vi.setConfig({ testTimeout: 20_000 });

const stage = makeH2Stage();

type Fields = readonly (readonly [string, string])[];

const request = (more: Fields = [], path = '/'): Buffer =>
  literals([[':method', 'GET'], [':scheme', 'https'], [':authority', stage.authority], [':path', path], ...more]);

const headers = (stream: number, block: Buffer, flags = END_HEADERS | END_STREAM): Buffer =>
  frame(TYPE.headers, flags, stream, block);

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const code = (raw: RawH2, type: number, stream: number): number | undefined =>
  raw.frames
    .find((one) => one.type === type && one.stream === stream)
    ?.payload.readUInt32BE(type === TYPE.goaway ? 4 : 0);

/** Another connection is served as ever. */
const othersAreFine = async (): Promise<void> => {
  const client = await openH2(stage.proxy, stage.authority);
  expect((await ask(client, '/', PLAIN)).body).toBe('hello');
};

describe('requests that could be read in two ways', () => {
  it.each<{ what: string; fields?: Fields; path?: string }>([
    { what: 'a line break in the path', path: '/a\r\nx-evil: 1' },
    { what: 'a space in the path', path: '/a HTTP/1.1' },
    { what: 'a path that is none', path: 'other.example/' },
    { what: 'a whole URL as path', path: 'https://other.example/' },
    { what: 'a capital in a name', fields: [['X-A', 'b']] },
    { what: 'Transfer-Encoding', fields: [['transfer-encoding', 'chunked']] },
    { what: 'Connection', fields: [['connection', 'x-a']] },
    { what: 'Upgrade', fields: [['upgrade', 'websocket']] },
    { what: 'TE beside trailers', fields: [['te', 'gzip']] },
    { what: 'another host than the authority', fields: [['host', 'other.example']] },
    {
      what: 'two hosts',
      fields: [
        ['host', 'shop.localhost'],
        ['host', 'other.example'],
      ],
    },
    {
      what: 'a pseudo header behind others',
      fields: [
        ['x-a', 'b'],
        [':path', '/other'],
      ],
    },
    { what: 'a pseudo header nobody knows', fields: [[':proto', 'x']] },
    { what: 'a length without a body', fields: [['content-length', '5']] },
    {
      what: 'two lengths',
      fields: [
        ['content-length', '0'],
        ['content-length', '5'],
      ],
    },
  ])('robustness A10 B01: $what resets the stream, and nothing of it reaches the target', async ({ fields, path }) => {
    const raw = await openRaw(stage.proxy, stage.authority);
    raw.send(headers(1, request(fields, path)));
    await until(() => code(raw, TYPE.reset, 1) !== undefined || raw.ended(), 'a reset');
    expect(raw.ended() || [1, 2].includes(code(raw, TYPE.reset, 1) ?? 0)).toBe(true);
    expect(stage.origin.requests).toEqual([]);
    await othersAreFine();
  });

  it.each<readonly [string, Fields]>([
    ['a line break in a value', [['x-a', 'b\r\nx-evil: 1']]],
    ['a NUL in a value', [['x-a', 'b\0c']]],
    ['a space in a name', [['x a', 'b']]],
    ['a line break in a name', [['x-a: b\r\nx-c', 'd']]],
    ['a length that is none', [['content-length', '5 ']]],
  ])('robustness B01: a field with %s is left out, by the rules of HTTP/2', async (_what, fields) => {
    const raw = await openRaw(stage.proxy, stage.authority);
    raw.send(headers(1, request([['user-agent', 'me'], ['x-crawlera-ua', 'pass'], ...fields])));
    await until(() => raw.frames.some(({ type, stream }) => type === TYPE.headers && stream === 1), 'an answer');
    expect(stage.origin.requests.map(({ head }) => head)).toEqual([
      `GET / HTTP/1.1\r\nHost: ${stage.authority}\r\nUser-Agent: me\r\n\r\n`,
    ]);
  });

  it.each([
    ['shorter than', 'abc'],
    ['longer than', 'abcdefgh'],
  ])('robustness A10 a body %s announced is no whole request for the target', async (_what, body) => {
    const raw = await openRaw(stage.proxy, stage.authority);
    const block = literals([
      [':method', 'POST'],
      [':scheme', 'https'],
      [':authority', stage.authority],
      [':path', '/'],
      ['content-length', '5'],
    ]);
    raw.send(headers(1, block, END_HEADERS), frame(TYPE.data, END_STREAM, 1, body));
    await until(() => code(raw, TYPE.reset, 1) !== undefined, 'a reset');
    expect(code(raw, TYPE.reset, 1)).toBe(1);
    expect(stage.origin.requests).toEqual([]);
  });
});

describe('limits', () => {
  it('T-11 robustness G04 takes heads of nearly 100 KiB and answers larger ones 413; the connection goes on', async () => {
    const client = await openH2(stage.proxy, stage.authority);
    const of = (bytes: number, fields = 10): Record<string, string> =>
      Object.fromEntries(Array.from({ length: fields }, (_, i) => [`x-${i}`, 'v'.repeat(bytes / fields)]));
    expect((await ask(client, '/', { ...PLAIN, ...of(100_000) })).status).toBe(200);
    for (const fields of [of(110_000), of(2_010, 2_010)]) {
      const answer = await ask(client, '/', { ...PLAIN, ...fields });
      expect([answer.status, answer.headers['x-crawlera-error'], answer.reset]).toEqual([413, 'invalid_request', 0]);
    }
    expect((await ask(client, '/', PLAIN)).status).toBe(200);
  });

  it('robustness G04 resets a stream with more fields than anybody reads', async () => {
    const raw = await openRaw(stage.proxy, stage.authority);
    const many = request(Array.from({ length: 4_500 }, () => ['x', ''] as const));
    raw.send(
      headers(1, many.subarray(0, 16_000), END_STREAM),
      frame(TYPE.continuation, END_HEADERS, 1, many.subarray(16_000)),
    );
    await until(() => code(raw, TYPE.reset, 1) !== undefined, 'a reset');
    expect(code(raw, TYPE.reset, 1)).toBe(11);
    raw.send(headers(3, request()));
    await until(() => raw.frames.some(({ type, stream }) => type === TYPE.headers && stream === 3), 'an answer');
  });

  it('announces 100 streams at a time and refuses what comes beyond', async () => {
    stage.origin.fallback = ['hang'];
    const raw = await openRaw(stage.proxy, stage.authority);
    await until(() => raw.frames.some(({ type, flags }) => type === TYPE.settings && flags === 0), 'settings');
    const settings = raw.frames.find(({ type, flags }) => type === TYPE.settings && flags === 0)?.payload;
    expect([settings?.readUInt16BE(0), settings?.readUInt32BE(2)]).toEqual([3, 100]);
    raw.send(Buffer.concat(Array.from({ length: 101 }, (_, i) => headers(2 * i + 1, request()))));
    await until(() => code(raw, TYPE.reset, 201) !== undefined || raw.ended(), 'a refusal');
    expect(code(raw, TYPE.reset, 201)).toBe(7);
    stage.origin.fallback = [reply('hello')];
    raw.socket.destroy();
    await othersAreFine();
  });
});

describe('floods', () => {
  /** Sends and lets what comes back be read until the connection is gone, or all is sent. */
  const flood = async (raw: RawH2, times: number, make: (i: number) => Buffer): Promise<void> => {
    for (let i = 0; i < times && !raw.ended(); i++) {
      raw.send(make(i));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };

  it('robustness F02 rapid reset: the connection is ended', async () => {
    const raw = await openRaw(stage.proxy, stage.authority);
    await flood(raw, 5_000, (i) =>
      Buffer.concat([headers(2 * i + 1, request()), frame(TYPE.reset, 0, 2 * i + 1, u32(8))]),
    );
    await until(raw.ended, 'the end of the connection', 10_000);
    expect(code(raw, TYPE.goaway, 0)).toBe(11);
    await othersAreFine();
  });

  it('robustness F02 resets that we are made to send are counted too', async () => {
    stage.origin.fallback = ['hang'];
    const raw = await openRaw(stage.proxy, stage.authority);
    await flood(raw, 3_000, (i) =>
      Buffer.concat([headers(2 * i + 1, request()), frame(TYPE.window, 0, 2 * i + 1, u32(0))]),
    );
    await until(raw.ended, 'the end of the connection', 10_000);
    stage.origin.fallback = [reply('hello')];
    await othersAreFine();
  });

  it('robustness F03 a client that gives up 500 streams goes on with its connection', async () => {
    const client = await openH2(stage.proxy, stage.authority);
    for (let round = 0; round < 10; round++) {
      const streams = Array.from({ length: 50 }, () => client.request({ ...PLAIN, ':path': '/' }));
      const answers = streams.map(answerOf);
      for (const stream of streams) stream.close(8);
      await Promise.all(answers);
    }
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
  });

  it.each([
    ['PING', frame(TYPE.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', frame(TYPE.settings, 0, 0)],
    ['empty DATA', frame(TYPE.data, 0, 1)],
  ])('robustness F02 a flood of %s takes nothing from other connections', async (_what, one) => {
    const raw = await openRaw(stage.proxy, stage.authority);
    raw.send(headers(1, request([], '/held'), END_HEADERS));
    const flooding = flood(raw, 20_000, () => one);
    await othersAreFine();
    await flooding;
    await othersAreFine();
  });

  it('robustness F02 a flood of CONTINUATION ends the connection', async () => {
    const raw = await openRaw(stage.proxy, stage.authority);
    raw.send(headers(1, request(), END_STREAM));
    await flood(raw, 2_000, (i) => frame(TYPE.continuation, 0, 1, literals([[`x-${i}`, 'v'.repeat(100)]])));
    await until(raw.ended, 'the end of the connection', 10_000);
    await othersAreFine();
  });

  it('bytes that are no HTTP/2 end the connection', async () => {
    const socket = await openAlpn(stage.proxy, stage.authority, ['h2']);
    socket.write(`GET / HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`);
    socket.resume();
    await until(() => socket.destroyed || socket.readableEnded, 'the end of the connection');
    expect(stage.origin.requests).toEqual([]);
    await othersAreFine();
  });
});
