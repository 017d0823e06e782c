/** T-18 with a WebSocket library at both ends: through every kind of exit, ws and wss, small and large messages, closing codes. */
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Listening, listen, until } from '../support/sockets.ts';
import type { TestUpstream } from '../support/upstream.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

interface Echo extends Listening {
  /** What each connection's handshake asked for. */
  readonly asked: string[];
}

/** Says every message back; closes with 4001 when told `bye`. */
const echoTarget = async (secure: boolean): Promise<Echo> => {
  const server = secure
    ? createTlsServer(kit.authority().issue({ hosts: ['shop.localhost'] }))
    : createServer((_request, response) => response.end('a page'));
  const asked: string[] = [];
  new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } }).on('connection', (socket, request) => {
    asked.push(`${request.url} ${request.headers['sec-websocket-protocol']}`);
    socket.on('message', (data, binary) => {
      if (!binary && data.toString() === 'bye') socket.close(4001, 'so long');
      else socket.send(data, { binary });
    });
  });
  return { ...kit.closing(await listen(server)), asked };
};

type Kind = 'direct' | 'http' | 'https' | 'socks5';

const exitOf = async (kind: Kind): Promise<TestUpstream | undefined> => {
  if (kind === 'direct') return undefined;
  return kit.upstream({
    kind,
    username: 'jo',
    password: 'p4ss',
    certificate: kit.authority().issue({ hosts: ['proxy.localhost'] }),
  });
};

const open = (proxy: RunningProxy, url: string, key = KEY): WebSocket => {
  const agent = new HttpsProxyAgent(`http://${key}:@127.0.0.1:${proxy.port}`);
  // It upgrades by itself: `agent` only opens the tunnel.
  return new WebSocket(url, 'chat', { agent, ca: proxy.caPem });
};

const opened = (socket: WebSocket): Promise<void> =>
  new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));

const next = (socket: WebSocket): Promise<Buffer> =>
  new Promise((resolve) => socket.once('message', (data) => resolve(data as Buffer)));

const cases = (['direct', 'http', 'https', 'socks5'] as const).flatMap((kind) =>
  (['ws', 'wss'] as const).map((scheme) => ({ kind, scheme })),
);

describe('the ws package', () => {
  it.each(cases)('T-18 T-10 talks $scheme through a $kind exit', async ({ kind, scheme }) => {
    const target = await echoTarget(scheme === 'wss');
    const exit = await exitOf(kind);
    const settings = `targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`;
    const urls = exit ? [`${exit.model.kind}://jo:p4ss@${exit.model.host}:${exit.model.port}`] : [];
    const proxy = kit.closing(await startProxy(settings, urls));
    const socket = open(proxy, `${scheme}://shop.localhost:${target.port}/room?id=7`);
    await opened(socket);
    expect([target.asked, socket.protocol, socket.extensions]).toEqual([
      ['/room?id=7 chat'],
      'chat',
      'permessage-deflate',
    ]);

    const large = Buffer.alloc(2_000_000, 'crawl ');
    for (const message of [Buffer.from('hello'), Buffer.alloc(0), large]) {
      const answer = next(socket);
      socket.send(message);
      expect((await answer).equals(message)).toBe(true);
    }
    const pong = new Promise((resolve) => socket.once('pong', resolve));
    socket.ping('?');
    await pong;

    const ended = proxy.nextReceipt();
    const closed = new Promise((resolve) => socket.once('close', (code, reason) => resolve([code, `${reason}`])));
    socket.send('bye');
    expect(await closed).toEqual([4001, 'so long']);
    expect(await ended).toMatchObject({ status: 101, outcome: 'ok', method: 'GET', website: 'shop.localhost' });
    await until(() => target.open.size === 0, 'the target to be left');
    if (exit) {
      expect(exit.logins).toEqual(['jo:p4ss']);
      // Never in absolute form: a proxy would drop the header.
      const authority = `shop.localhost:${target.port}`;
      expect(exit.seen[0]).toMatch(kind === 'socks5' ? `3 ${authority}` : `CONNECT ${authority} HTTP/1.1`);
    }
    expect(proxy.bugs).toEqual([]);
  });

  it('T-18 the client closes first', async () => {
    const target = await echoTarget(false);
    const proxy = await kit.proxy();
    const socket = open(proxy, `ws://shop.localhost:${target.port}/`);
    await opened(socket);
    const ended = proxy.nextReceipt();
    socket.close(1000);
    expect(await ended).toMatchObject({ status: 101, outcome: 'ok' });
  });

  it('T-18 L-01 many at once, each with messages of its own', async () => {
    const target = await echoTarget(false);
    const proxy = await kit.proxy();
    const sockets = Array.from({ length: 40 }, () => open(proxy, `ws://shop.localhost:${target.port}/`));
    await Promise.all(sockets.map(opened));
    const answers = sockets.map(next);
    sockets.forEach((socket, i) => {
      socket.send(`message ${i}`);
    });
    expect((await Promise.all(answers)).map(String)).toEqual(sockets.map((_, i) => `message ${i}`));
    for (const socket of sockets) socket.close();
    await until(() => proxy.receipts.length === 40 && target.open.size === 0, 'all of them to end');
  });

  it('E-01 hears of an error of ours as an answer to its handshake', async () => {
    const proxy = await kit.proxy();
    const socket = open(proxy, 'ws://no-such-name.invalid/');
    const answer = new Promise((resolve) =>
      socket.once('unexpected-response', (_request, response) =>
        resolve([response.statusCode, response.headers['x-crawlera-error']]),
      ),
    );
    expect(await answer).toEqual([502, 'nxdomain']);
    socket.once('error', () => {});
    socket.terminate();
  });
});
