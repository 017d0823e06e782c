/** How large a request head may be: accepted up to 100 KiB, 413 above, never cut (T-11, robustness G04). */
import { describe, expect, it } from 'vitest';
import { AUTH, type Line, openSecure, openTunnel } from '../support/client.ts';
import { makeLines, makeStage } from './transport-kit.ts';

const stage = makeStage();
const line = makeLines();
const KIB = 1024;

/** A head of exactly so many bytes, for a proxied request or one in a tunnel. */
const headOf = (bytes: number, start: string): string => {
  const rest = bytes - start.length - '\r\n'.length;
  const line = 'X-Filler: \r\n'.length;
  const lines = Math.ceil(rest / 8_000);
  let text = start;
  for (let i = 0; i < lines; i++) {
    const size = i < lines - 1 ? Math.floor(rest / lines) : bytes - text.length - 2;
    text += `X-Filler: ${'x'.repeat(size - line)}\r\n`;
  }
  return `${text}\r\n`;
};

const places: readonly (readonly [string, () => Promise<Line>, () => string])[] = [
  [
    'on the port',
    () => line(stage.proxy.port),
    () => `GET ${stage.site}/ HTTP/1.1\r\nHost: ${stage.authority}\r\n${AUTH}`,
  ],
  ['in a plain tunnel', () => openTunnel(stage.proxy, stage.authority), () => tunnelled()],
  ['inside TLS', () => openSecure(stage.proxy, `127.0.0.1:${stage.proxy.port}`), () => ownEndpoint()],
];
const tunnelled = (): string => `GET / HTTP/1.1\r\nHost: ${stage.authority}\r\n`;
const ownEndpoint = (): string => `GET /sessions HTTP/1.1\r\nHost: 127.0.0.1\r\n`;

describe.each(places)('request heads %s', (_where, open, start) => {
  it('T-11 accepts a head of exactly 100 KiB', async () => {
    const client = await open();
    const head = headOf(100 * KIB, start());
    expect(head).toHaveLength(100 * KIB);
    expect((await client.ask(head)).status).toBe(200);
    client.socket.destroy();
  });

  it('robustness G04 answers 413 above it and closes', async () => {
    for (const size of [101 * KIB, 1000 * KIB]) {
      const client = await open();
      const answer = await client.ask(headOf(size, start()));
      expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([413, 'invalid_request']);
      expect([answer.header('X-Crawlera-Version'), answer.header('Connection')]).toEqual(['9.8.7', 'close']);
      client.socket.end();
      await client.closed;
      expect(client.rest()).toBe('');
    }
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('robustness G04 answers 413 to an endless head, without reading it to its end', async () => {
    const client = await open();
    client.write(`${start()}X-Endless: `);
    const more = setInterval(() => client.socket.writable && client.write('x'.repeat(16 * KIB)), 1);
    const answer = await client.read();
    clearInterval(more);
    expect(answer.status).toBe(413);
    client.socket.destroy();
  });

  it('robustness G04 answers 413 to more than 2000 fields and accepts 2000', async () => {
    const few = await open();
    const own = start().split('\r\n').length - 2;
    expect((await few.ask(`${start()}${'a: b\r\n'.repeat(2000 - own)}\r\n`)).status).toBe(200);
    const many = await open();
    expect((await many.ask(`${start()}${'a: b\r\n'.repeat(2001 - own)}\r\n`)).status).toBe(413);
    many.socket.end();
    await many.closed;
    few.socket.destroy();
  });

  it('robustness G04 holds the URL to the same limit', async () => {
    for (const [size, status] of [
      [90 * KIB, start().includes('/sessions') ? 404 : 200],
      [101 * KIB, 413],
    ] as const) {
      const client = await open();
      const answer = await client.ask(
        start()
          .replace(/ HTTP/, `${'u'.repeat(size)} HTTP`)
          .concat('\r\n'),
      );
      expect([size, answer.status]).toEqual([size, status]);
      client.socket.destroy();
    }
  });
});

describe('many header lines', () => {
  it('T-11 hands all of them on, none is cut', async () => {
    const client = await line(stage.proxy.port);
    const lines = Array.from({ length: 1900 }, (_, i) => `X-N: ${i}\r\n`).join('');
    expect((await client.ask(`GET ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${lines}\r\n`)).status).toBe(200);
    expect(stage.origin.requests[0]?.head).toContain(lines);
  });

  it('T-11 hands a value of nearly 100 KiB on as it is', async () => {
    const client = await line(stage.proxy.port);
    const value = Array.from({ length: 9_000 }, (_, i) => `v${i}`.padEnd(10, '.')).join('');
    expect((await client.ask(`GET ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}X-Big: ${value}\r\n\r\n`)).status).toBe(
      200,
    );
    expect(stage.origin.requests[0]?.head).toContain(`\r\nX-Big: ${value}\r\n`);
  });

  it('T-11 accepts CONNECT with 100 KiB of headers too, and answers 413 above', async () => {
    for (const [size, status] of [
      [100 * KIB, 200],
      [101 * KIB, 413],
    ] as const) {
      const client = await line(stage.proxy.port);
      const answer = await client.ask(headOf(size, `CONNECT ${stage.authority} HTTP/1.1\r\n${AUTH}`));
      expect([size, answer.status]).toEqual([size, status]);
    }
  });
});
