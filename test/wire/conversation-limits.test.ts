/** Clients that read nothing, announce what they do not send, or leave while nobody reads from them (robustness G01, G02, G08). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Answer } from '../../src/inbound/answer.ts';
import type { Hooks, Listener, ListenerOptions } from '../../src/inbound/listener.ts';
import { listenerWith, sendOk } from '../support/listening.ts';
import { until } from '../support/sockets.ts';

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Client {
  readonly socket: Socket;
  /** Bytes received. */
  count(): number;
  closed(): boolean;
}

/** A client that reads nothing before its socket is resumed. */
const clientOf = async (
  request: Hooks['request'],
  options: Partial<ListenerOptions> = {},
): Promise<Client & { listener: Listener }> => {
  const listener = listenerWith({ request }, options);
  const { port } = await listener.listen();
  closers.push(() => {
    listener.destroy();
    return listener.close();
  });
  const socket = connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  await once(socket, 'connect');
  let bytes = 0;
  let closed = false;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  socket.pause();
  socket.on('error', () => {});
  socket.once('close', () => {
    closed = true;
  });
  return { socket, listener, count: () => bytes, closed: () => closed };
};

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (length: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

/** More than the kernel keeps for a client that does not read. */
const HUGE = 32 * 1024 * 1024;
const sendMany = (answer: Answer, bytes: number): void =>
  answer.send({ status: 200, reason: 'OK', headers: [] }, 'x'.repeat(bytes));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a client that does not read its answers', () => {
  it('G01 has no further requests read, and is served on when it reads', async () => {
    const asked = HUGE / 65_536;
    let served = 0;
    const client = await clientOf((_request, _body, answer) => {
      served++;
      sendMany(answer, 65_536);
    });
    client.socket.write(GET.repeat(asked));
    let before = -1;
    while (before !== served) {
      before = served;
      await pause(50);
    }
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThan(asked);
    client.socket.resume();
    await until(() => client.count() > asked * 65_536, 'all answers');
    expect(served).toBe(asked);
  });

  it('G02 is not idle: the rest of its answer waits for it', async () => {
    const client = await clientOf((_request, _body, answer) => sendMany(answer, HUGE), { idleMs: 40 });
    client.socket.write(GET);
    await pause(150);
    client.socket.resume();
    await until(() => client.count() > HUGE, 'the whole answer');
    await until(client.closed, 'the end of an idle connection');
  });

  it('G13 has its answer when the listener closes meanwhile', async () => {
    let served = false;
    const client = await clientOf((_request, _body, answer) => {
      sendMany(answer, HUGE);
      served = true;
    });
    client.socket.write(GET);
    await until(() => served, 'the answer');
    const gone = client.listener.close();
    client.socket.resume();
    await until(() => client.count() > HUGE, 'the whole answer');
    await gone;
  });
});

describe('a body', () => {
  it('G01 that does not come after its request was answered holds the connection no longer than a head may take', async () => {
    const client = await clientOf((_request, _body, answer) => sendOk(answer), { headMs: 40 });
    client.socket.resume();
    client.socket.write(`${post(10)}half`);
    await until(() => client.count() > 0, 'the answer');
    await until(client.closed, 'the connection to be closed', 1_000);
  });

  it('G01 that comes late, but in time, leaves the connection as it was', async () => {
    const client = await clientOf((_request, _body, answer) => sendOk(answer), { headMs: 200 });
    client.socket.resume();
    client.socket.write(`${post(10)}half`);
    await until(() => client.count() > 0, 'the answer');
    const one = client.count();
    client.socket.write(`second${GET}`);
    await until(() => client.count() === 2 * one, 'the next answer');
    await pause(450);
    expect(client.closed()).toBe(false);
  });
});

describe('a client that leaves before its answer', () => {
  /** With a request sent ahead: while that lies unread, an end behind it is not seen. */
  const leave = async ({ socket, closed }: Client): Promise<void> => {
    await pause(20);
    socket.write(GET);
    await pause(20);
    socket.end();
    await until(closed, 'the connection to be closed', 1_000);
  };

  it.each([
    ['came with the head', 'body', ''],
    ['came later', '', 'body'],
  ])(
    'T-19 is noticed when the taker of its body, which %s, had no room for the last of it',
    async (_when, early, late) => {
      let started = false;
      let taken = 0;
      const client = await clientOf((_request, body) => {
        const write = (chunk: Buffer): boolean => {
          taken += chunk.length;
          return false;
        };
        body.start({ write, end: () => undefined, fail: () => undefined });
        started = true;
      });
      client.socket.resume();
      client.socket.write(`${post(4)}${early}`);
      await until(() => started, 'the request');
      client.socket.write(late);
      await until(() => taken === 4, 'the body');
      await leave(client);
    },
  );

  it('T-19 is noticed when it had sent more ahead than is taken', async () => {
    const waiting: Answer[] = [];
    const client = await clientOf((_request, _body, answer) => waiting.push(answer));
    client.socket.resume();
    client.socket.write(GET);
    await until(() => waiting.length === 1, 'the first request');
    client.socket.write(GET.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(80_000)}\r\n\r\n`));
    await pause(50);
    sendOk(waiting[0] as Answer);
    await until(() => waiting.length === 2, 'the second request');
    await leave(client);
  });
});
