/** Clients that stop in the middle: a tunnel never used, a handshake never finished, an answer never read (robustness G01, G02). */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../../src/inbound/answer.ts';
import { openAuthority } from '../../src/inbound/authority.ts';
import { makeTunnels, type TunnelPorts } from '../../src/inbound/tunnels.ts';
import { Gone } from '../../src/model/errors.ts';
import { makeRequestBody } from '../../src/pipeline/body.ts';
import type { BodySink, BodySource, Delivery } from '../../src/pipeline/ports.ts';
import { makeStop } from '../../src/pipeline/stop.ts';
import { AUTH, openTunnel } from '../support/client.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { listenerWith } from '../support/listening.ts';
import { until } from '../support/sockets.ts';
import { headFor, makeLines, makeStage } from './transport-kit.ts';

const stage = makeStage({
  yaml: () => 'timeouts: { connect: 200ms, response: 150ms, responseMin: 50ms, responseMax: 1s, drain: 200ms }',
});
const line = makeLines();
const folder = mkdtempSync(join(tmpdir(), 'crawlgate-deadlines-'));
const authority = openAuthority(folder);
afterAll(() => rmSync(folder, { recursive: true }));

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const clientOf = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
};

/** However it comes about: a reset is a close too. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('close', () => resolve());
    socket.resume();
  });

describe('tunnels', () => {
  const open = async (times: Pick<TunnelPorts, 'handshakeMs' | 'idleMs'>): Promise<Socket> => {
    const account = {
      id: 'test',
      plan: 'enterprise',
      dialect: 'crawlera',
      defaults: [],
      maxConnections: 1,
      maxSessions: 1,
    } as const;
    const listener = listenerWith({ connect: (request, socket, head) => tunnels.onConnect(request, socket, head) });
    const tunnels = makeTunnels({
      authenticate: () => ({ account, suffix: { sessionName: undefined, region: undefined } }),
      whenReady: authority.whenReady,
      feed: listener.feed,
      refuse: (socket) => socket.destroy(),
      feedH2: () => {},
      alpn: () => ['http/1.1'],
      ...times,
    });
    const { port } = await listener.listen();
    closers.push(() => {
      listener.destroy();
      return listener.close();
    });
    const socket = await clientOf(port);
    socket.write('CONNECT shop.localhost:443 HTTP/1.1\r\n\r\n');
    await once(socket, 'data');
    return socket;
  };

  it('robustness G02 are closed when nothing ever comes', async () => {
    const socket = await open({ idleMs: 40, handshakeMs: 30_000 });
    await closed(socket);
  });

  it('robustness G02 are closed when their handshake is never finished', async () => {
    const socket = await open({ idleMs: 30_000, handshakeMs: 40 });
    socket.on('error', () => {});
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    const drip = setInterval(() => socket.write(Buffer.of(0)), 10);
    await closed(socket);
    clearInterval(drip);
  });

  it('robustness G02 are left alone by both once they are in use', async () => {
    const socket = await open({ idleMs: 30, handshakeMs: 30 });
    socket.write('GET / HTT');
    await new Promise((resolve) => setTimeout(resolve, 90));
    socket.write('P/1.1\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toContain('200 OK');
  });
});

describe('a client that does not read', () => {
  let clock = makeFakeClock();
  beforeEach(() => {
    clock = makeFakeClock();
  });

  interface Served {
    readonly client: Socket;
    readonly answer: Answer;
    readonly socket: Socket;
  }

  /** A request on its connection, with a client that reads nothing. */
  const serve = async (): Promise<Served> => {
    let take: (served: readonly [Answer, Socket]) => void = () => {};
    const asked = new Promise<readonly [Answer, Socket]>((resolve) => {
      take = resolve;
    });
    const listener = listenerWith({ request: ({ socket }, _body, answer) => take([answer, socket]) }, { clock });
    closers.push(() => {
      listener.destroy();
      return listener.close();
    });
    const client = await clientOf((await listener.listen()).port);
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const [answer, socket] = await asked;
    return { client, answer, socket };
  };

  const HEAD = { status: 200, reason: 'OK', headers: [] };

  /** A body without end, and how much of it was taken. */
  const endless = () => {
    const seen = { bytes: 0, aborted: false };
    let sink: BodySink | undefined;
    const fill = (): void => {
      do seen.bytes += 65_536;
      while (sink?.write(Buffer.alloc(65_536)));
    };
    const body: BodySource = {
      start: (taker) => {
        sink = taker;
        fill();
      },
      resume: fill,
      abort: () => {
        seen.aborted = true;
      },
    };
    return { seen, body };
  };

  /** Resolves when nothing more was taken for a while: the kernel's buffers are full. */
  const stuck = async (seen: { bytes: number }): Promise<void> => {
    for (let last = -1; last !== seen.bytes; ) {
      last = seen.bytes;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  };

  it('robustness G01 is cut after ten minutes without taking a byte', async () => {
    const { answer, socket } = await serve();
    const { seen, body } = endless();
    const delivery = answer.stream(HEAD, body, makeStop(), Number.POSITIVE_INFINITY);
    await stuck(seen);
    await clock.advance(599_999);
    expect(socket.destroyed).toBe(false);
    await clock.advance(1);
    expect((await delivery).failure).toBeInstanceOf(Gone);
    expect([socket.destroyed, seen.aborted, clock.pending()]).toEqual([true, true, 0]);
  });

  it('robustness G01 is given new time whenever it takes something', async () => {
    const { client, answer, socket } = await serve();
    const { seen, body } = endless();
    const delivery = answer.stream(HEAD, body, makeStop(), Number.POSITIVE_INFINITY);
    await stuck(seen);
    const before = seen.bytes;
    await clock.advance(500_000);
    client.resume();
    await until(() => seen.bytes > before, 'the client to take something');
    client.pause();
    await stuck(seen);
    await clock.advance(599_999);
    expect(socket.destroyed).toBe(false);
    await clock.advance(1);
    expect((await delivery).failure).toBeInstanceOf(Gone);
  });

  it('robustness G01 is cut too when it leaves the last bytes of a whole answer', async () => {
    const { answer, socket } = await serve();
    const large = Buffer.alloc(32 * 1024 * 1024);
    const body: BodySource = {
      start: (sink) => {
        sink.write(large);
        sink.end();
      },
      resume: () => {},
      abort: () => {},
    };
    const stop = makeStop();
    const delivery: Delivery = await answer.stream(HEAD, body, stop, large.length);
    expect(delivery).toEqual({ bytes: large.length, failure: undefined });
    expect(clock.pending()).toBe(1);
    await clock.advance(600_000);
    expect(socket.destroyed).toBe(true);
  });

  it('costs no timer when it reads', async () => {
    const { client, answer } = await serve();
    client.resume();
    const body: BodySource = {
      start: (sink) => {
        sink.write(Buffer.from('hello'));
        sink.end();
      },
      resume: () => {},
      abort: () => {},
    };
    await answer.stream(HEAD, body, makeStop(), 100);
    expect(clock.pending()).toBe(0);
  });
});

describe('a client that stalls its own body', () => {
  it.each([
    ['with a length', 'Content-Length: 10\r\n', 'half'],
    ['chunked', 'Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n'],
    ['before its first byte', 'Content-Length: 10\r\n', ''],
  ])('E-03 robustness G01 gets msgtimeout, %s', async (_how, framing, body) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(headFor(stage, '/', framing, 'POST') + body);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([504, 'msgtimeout']);
    await until(() => stage.origin.open.size === 0, 'the upload to be given up');
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('E-03 gets it inside a tunnel as well', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    const answer = await inside.ask(
      `POST / HTTP/1.1\r\nHost: ${stage.authority}\r\n${AUTH}Content-Length: 10\r\n\r\nhalf`,
    );
    expect(answer.header('X-Crawlera-Error')).toBe('msgtimeout');
    inside.socket.destroy();
  });

  it('E-03 is a matter of each pause, not of how long it takes as a whole', async () => {
    const clock = makeFakeClock();
    let source: BodySink | undefined;
    const body = makeRequestBody(
      { start: (sink) => (source = sink), resume: () => {}, abort: () => {} },
      undefined,
      { keepBytes: 1000, stallMs: 100 },
      clock,
    );
    const seen: (string | Error)[] = [];
    body.open().source.start({
      write: (chunk) => seen.push(chunk.toString()) > 0,
      end: () => seen.push('end'),
      fail: (error) => seen.push(error),
    });
    for (const letter of 'slowly') {
      await clock.advance(99);
      source?.write(Buffer.from(letter));
    }
    expect(seen.join('')).toBe('slowly');
    await clock.advance(100);
    expect(seen.at(-1)).toMatchObject({ condition: 'msgtimeout' });
    expect(clock.pending()).toBe(0);
  });
});
