/** T-18 over real sockets: bytes after the 101, slow readers, and every way in which an upgraded connection ends. */
import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Line, openLine, openSecure } from '../support/client.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { listen, until } from '../support/sockets.ts';
import { makeWireKit } from './errors-kit.ts';
import { acceptingTarget, HANDSHAKE, handshakeTo, join, SWITCHED } from './websocket-kit.ts';

const kit = makeWireKit();
const MIB = 1024 * 1024;

/** Resolves when `count` has not grown for a while, with what it says then. */
const settled = async (count: () => number): Promise<number> => {
  for (let last = -1; ; ) {
    if (count() === last) return last;
    last = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

/** Writes as long as `socket` takes bytes; says how many it took. */
const pump = (socket: Socket): (() => number) => {
  const chunk = Buffer.alloc(64 * 1024);
  let written = 0;
  const write = (): void => {
    while (written < 200 * MIB) {
      written += chunk.length;
      if (!socket.write(chunk)) return;
    }
  };
  socket.on('drain', write);
  write();
  return () => written;
};

const collect = (socket: Socket, size: number): Promise<Buffer> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= size) resolve(Buffer.concat(chunks));
    });
  });

describe('bytes', () => {
  it.each(['plain', 'TLS'])('T-18 T-16 cross untouched, both ways at once: %s', async (how) => {
    const bytes = [randomBytes(3 * MIB), randomBytes(3 * MIB)] as const;
    const proxy = await kit.proxy(
      `targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`,
    );
    let line: Line;
    let upward: Promise<Buffer>;
    if (how === 'plain') {
      const target = await acceptingTarget(kit);
      const joined = await join(proxy, target);
      line = joined.line;
      joined.far.removeAllListeners('data');
      upward = collect(joined.far, bytes[0].length);
      joined.far.write(bytes[1]);
    } else {
      const origin = await kit.secureOrigin(['shop.localhost']);
      origin.fallback = [SWITCHED, bytes[1]];
      line = await openSecure(proxy, `shop.localhost:${origin.port}`);
      line.socket.removeAllListeners('data');
      line.write(`GET / HTTP/1.1\r\nHost: shop.localhost:${origin.port}\r\n${HANDSHAKE}\r\n`);
      upward = until(() => origin.received().length >= bytes[0].length, 'the upload').then(() =>
        Buffer.from(origin.received().split('\r\n\r\n').slice(1).join('\r\n\r\n'), 'latin1'),
      );
    }
    line.socket.removeAllListeners('data');
    const downward = collect(line.socket, bytes[1].length);
    line.socket.write(bytes[0]);
    expect((await downward).subarray(-bytes[1].length).equals(bytes[1])).toBe(true);
    expect((await upward).equals(bytes[0])).toBe(true);
    line.socket.destroy();
  });
});

describe('a side that does not read', () => {
  it.each(['client', 'target'] as const)('robustness G07 stops the other: the %s', async (slow) => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy();
    const { line, far } = await join(proxy, target);
    const [reader, writer] = slow === 'client' ? [line.socket, far] : [far, line.socket];
    reader.pause();
    const written = pump(writer);
    const stalled = await settled(written);
    // What the kernel holds for four sockets and one read of each stream, far from the whole.
    expect(stalled).toBeLessThan(40 * MIB);
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(80 * MIB);
    reader.removeAllListeners('data');
    reader.resume();
    await until(() => written() > stalled, 'it to go on');
    line.socket.destroy();
  });

  it('robustness G07 a client that talks before the 101 is held back too', async () => {
    const target = kit.closing(await listen(createServer((socket) => socket.resume())));
    const proxy = await kit.proxy('timeouts: { drain: 50ms }\n');
    const line = await openLine(proxy.port);
    line.write(handshakeTo(target.port));
    expect(await settled(pump(line.socket))).toBeLessThan(20 * MIB);
    line.socket.destroy();
  });
});

const ONE_SEAT = `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n`;

describe('the end', () => {
  const CLIENT_WAYS = [
    ['by a reset', (line: Line) => line.socket.resetAndDestroy(), 'gone'],
    ['by ending its side', (line: Line) => line.socket.end(), 'ok'],
  ] as const;

  it.each(CLIENT_WAYS)('T-19 robustness G08 the client leaves %s', async (_how, leave, outcome) => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy(ONE_SEAT);
    const { line, far } = await join(proxy, target);
    far.write('down');
    line.write('up');
    await until(() => line.rest() === 'down' && target.received().endsWith('up'), 'both ways');
    const ended = proxy.nextReceipt();
    leave(line);
    await until(() => target.open.size === 0, 'the target to be left', 1_000);
    expect(await ended).toMatchObject({ status: 101, outcome, bytes: 4 });
    const { line: next } = await join(proxy, target);
    next.socket.destroy();
    await line.closed;
  });

  it('T-18 the target ends: the client has everything, then the end', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy(ONE_SEAT);
    const { line, far } = await join(proxy, target);
    line.socket.pause();
    const ended = proxy.nextReceipt();
    far.end('x'.repeat(MIB));
    await new Promise((resolve) => setTimeout(resolve, 50));
    line.socket.resume();
    await line.closed;
    expect(line.rest().length).toBe(MIB);
    expect(await ended).toMatchObject({ outcome: 'ok', bytes: MIB });
  });

  it('T-18 the target resets', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy(ONE_SEAT);
    const { line, far } = await join(proxy, target);
    const ended = proxy.nextReceipt();
    far.resetAndDestroy();
    await line.closed;
    expect(await ended).toMatchObject({ status: 101, outcome: 'cut', reason: 'read ECONNRESET' });
  });

  it('T-18 a target that stays when the client has ended its side is left after 2 s', async () => {
    const { clock, proxy } = await onFakeClock();
    let end: Socket | undefined;
    const target = kit.closing(
      await listen(
        createServer({ allowHalfOpen: true }, (socket) => {
          end = socket;
          socket.once('data', () => socket.write(SWITCHED)).on('data', () => {});
        }),
      ),
    );
    const line = await openLine(proxy.port);
    await line.ask(handshakeTo(target.port));
    const ended = proxy.nextReceipt();
    let told = false;
    end?.once('end', () => {
      told = true;
    });
    line.socket.end();
    await until(() => told, 'the target to hear of it');
    end?.write('last words');
    await until(() => line.rest() === 'last words', 'the last words');
    expect(proxy.receipts).toEqual([]);
    await clock.advance(2_000);
    expect(await ended).toMatchObject({ outcome: 'ok', bytes: 10 });
    // Nobody is there any more to take this.
    await until(() => end?.write('anyone?') === false || target.open.size === 0, 'the target to be left');
  });
});

const onFakeClock = async (): Promise<{ clock: ReturnType<typeof makeFakeClock>; proxy: RunningProxy }> => {
  const clock = makeFakeClock();
  return { clock, proxy: kit.closing(await startProxy('', [], clock)) };
};

describe('silence', () => {
  it('A-06 ends it after 10 minutes, counted from the last byte either way', async () => {
    const target = await acceptingTarget(kit);
    const { clock, proxy } = await onFakeClock();
    const { line, far } = await join(proxy, target);
    await clock.advance(9 * 60_000);
    far.write('ping');
    await until(() => line.rest() === 'ping', 'the ping');
    await clock.advance(9 * 60_000);
    line.write('pong');
    await until(() => target.received().endsWith('pong'), 'the pong');
    await clock.advance(10 * 60_000 - 1);
    expect(proxy.receipts).toEqual([]);
    await clock.advance(1);
    await line.closed;
    expect(proxy.receipts).toMatchObject([{ outcome: 'cut', reason: 'idle for 10 minutes', bytes: 4 }]);
    await until(() => target.open.size === 0, 'the target to be left');
    expect(proxy.bugs).toEqual([]);
  });

  it('A-06 no timeout of a request applies to it', async () => {
    const target = await acceptingTarget(kit);
    const { clock, proxy } = await onFakeClock();
    const { line, far } = await join(proxy, target);
    await clock.advance(9 * 60_000);
    far.write('still here');
    await until(() => line.rest() === 'still here', 'a late word');
    line.socket.destroy();
  });

  it('S-11 its session lives as long as it does', async () => {
    const target = await acceptingTarget(kit);
    const { clock, proxy } = await onFakeClock();
    const { line, far, answer } = await join(proxy, target, 'X-Crawlera-Session: create\r\n');
    for (let i = 1; i <= 5; i++) {
      await clock.advance(9 * 60_000);
      far.write('.');
      await until(() => line.rest() === '.'.repeat(i), 'a sign of life');
    }
    const session = `X-Crawlera-Session: ${answer.header('X-Crawlera-Session')}\r\n`;
    const { line: second } = await join(proxy, target, session);
    second.socket.destroy();
    line.socket.destroy();
  });
});

describe('shutdown', () => {
  it('robustness G13 lets it live for timeouts.drain and no longer', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await startProxy('timeouts: { drain: 150ms }\n');
    const { line, far } = await join(proxy, target);
    const tunnel = await openSecure(proxy, 'quiet.localhost:443');
    const startedAt = performance.now();
    const closed = proxy.close();
    far.write('meanwhile');
    await until(() => line.rest() === 'meanwhile', 'a word during the drain');
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    await Promise.all([line.closed, tunnel.closed]);
    await until(() => target.open.size === 0, 'the target to be left');
    expect(proxy.receipts).toMatchObject([{ status: 101, bytes: 9 }]);
    expect(proxy.bugs).toEqual([]);
  });

  it('robustness G13 is over at once when nothing is left of it', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await startProxy('timeouts: { drain: 60s }\n');
    const { line } = await join(proxy, target);
    const ended = proxy.nextReceipt();
    line.socket.end();
    await ended;
    await proxy.close();
    await line.closed;
  });
});
