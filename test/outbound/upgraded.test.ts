/** T-18: a 101 gives its connection away, through every kind of exit, with what came behind its head; nothing else does. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { InboundResponse } from '../../src/pipeline/ports.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { until } from '../support/sockets.ts';
import { directExit } from '../support/upstream.ts';
import { faultOf, optionsFor, requestTo, stopButton, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

const socketOf = ({ upgraded }: InboundResponse): Duplex => {
  if (!upgraded) throw new Error('no connection');
  return upgraded;
};

const readText = (socket: Duplex): (() => string) => {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.resume();
  return () => text;
};

const cases = (['direct', 'http', 'https', 'socks5'] as const).flatMap((kind) =>
  (['http', 'https'] as const).map((scheme) => ({ kind, scheme })),
);

describe('a 101', () => {
  it.each(cases)('T-18 $kind to $scheme', async ({ kind, scheme }) => {
    const site = scheme === 'https' ? await kit.secureOrigin() : await kit.origin();
    site.fallback = [`${SWITCH}with it`, { wait: 5 }, ' after'];
    const proxy = kind === 'direct' ? undefined : await kit.upstream({ kind, username: 'jo', password: 'p' });
    const target = targetOf(scheme, 'shop.localhost', site.port);
    const response = await kit
      .transport()
      .attempt(
        requestTo(target, { webSocket: true }),
        optionsFor({ upstream: proxy?.model ?? directExit() }),
        stopButton(),
      );
    expect([response.status, response.length, response.reused]).toEqual([101, 0, false]);
    const socket = socketOf(response);
    const text = readText(socket);
    socket.write('to the target');
    await until(() => text() === 'with it after' && site.received().endsWith('\r\n\r\nto the target'), 'both ways');
    if (proxy && kind !== 'socks5') expect(proxy.seen[0]).toMatch(/^CONNECT /);
    expect(site.requests[0]?.head).not.toMatch(/proxy-auth/i);
    socket.destroy();
    await until(() => site.open.size === 0, 'the target to be left');
  });

  it('robustness A07 split at every offset is the same', async () => {
    const text = `${SWITCH}x`;
    const transport = kit.transport();
    for (let at = 1; at < text.length; at += 7) {
      const site = await kit.origin();
      site.fallback = [text.slice(0, at), { wait: 1 }, text.slice(at)];
      const target = targetOf('http', 'shop.localhost', site.port);
      const socket = socketOf(
        await transport.attempt(requestTo(target, { webSocket: true }), optionsFor(), stopButton()),
      );
      const read = readText(socket);
      await until(() => read() === 'x', 'what came with it');
      socket.destroy();
    }
  });

  it('T-18 comes on a connection of its own', async () => {
    const site = await kit.origin();
    const target = targetOf('http', 'shop.localhost', site.port);
    const transport = kit.transport();
    for (let i = 0; i < 2; i++) {
      const { body } = await transport.attempt(requestTo(target), optionsFor(), stopButton());
      await new Promise<void>((resolve, reject) => body.start({ write: () => true, end: resolve, fail: reject }));
    }
    site.fallback = [SWITCH];
    const response = await transport.attempt(requestTo(target, { webSocket: true }), optionsFor(), stopButton());
    expect(site.requests.map(({ connection }) => connection)).toEqual([1, 1, 2]);
    response.body.abort();
    await once(socketOf(response), 'close');
  });

  it('robustness G10 leaves no timer and no deadline behind', async () => {
    const site = await kit.origin();
    site.fallback = [SWITCH];
    const clock = makeFakeClock();
    const transport = kit.transport({ clock, ticks: () => clock.now() });
    const target = targetOf('http', 'shop.localhost', site.port);
    const response = await transport.attempt(requestTo(target, { webSocket: true }), optionsFor(), stopButton());
    await clock.advance(3_600_000);
    expect([socketOf(response).destroyed, clock.pending()]).toEqual([false, 0]);
    socketOf(response).destroy();
  });

  it('robustness G13 ends with the transport', async () => {
    const site = await kit.origin();
    site.fallback = [SWITCH];
    const transport = kit.transport();
    const target = targetOf('http', 'shop.localhost', site.port);
    const response = await transport.attempt(requestTo(target, { webSocket: true }), optionsFor(), stopButton());
    const closed = once(socketOf(response), 'close');
    await transport.close();
    await closed;
  });

  it('robustness G08 a target that resets before anybody took the connection harms nobody', async () => {
    const site = await kit.origin();
    site.fallback = [SWITCH, { wait: 5 }, 'reset'];
    const target = targetOf('http', 'shop.localhost', site.port);
    const response = await kit.transport().attempt(requestTo(target, { webSocket: true }), optionsFor(), stopButton());
    const socket = socketOf(response);
    socket.resume();
    await until(() => socket.destroyed, 'the reset');
  });
});

describe('robustness A06: a 101 that is none', () => {
  it.each([
    ['without Upgrade', 'HTTP/1.1 101 Go\r\nConnection: Upgrade\r\n\r\n', true],
    ['for another protocol', SWITCH.replace('websocket', 'h2c'), true],
    ['nobody asked for', SWITCH, false],
  ])('%s', async (_what, text, webSocket) => {
    const site = await kit.origin();
    site.fallback = [text];
    const target = targetOf('http', 'shop.localhost', site.port);
    const attempt = kit.transport().attempt(requestTo(target, { webSocket }), optionsFor(), stopButton());
    expect((await faultOf(attempt)).condition).toBe('send_failed');
    await until(() => site.open.size === 0, 'the connection to be closed');
  });
});
