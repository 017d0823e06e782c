/** What http-mitm-proxy would do if its own machinery were ever reached, and does not do here; and the listener's deadlines. */
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { linger } from '../../src/inbound/link.ts';
import type { Hooks, Listener, ListenerOptions } from '../../src/inbound/listener.ts';
import { AUTH, openLine, openSecure, openTunnel } from '../support/client.ts';
import { listenerWith, sendOk } from '../support/listening.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { type RunningProxy, startProxy } from '../support/proxy.ts';

/** However it comes about: a reset is a close too. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('close', () => resolve());
    socket.resume();
  });

describe('the given proxy package', () => {
  let proxy: RunningProxy;
  let origin: Origin;

  beforeAll(async () => {
    origin = await makeOrigin();
    proxy = await startProxy();
  });
  afterAll(async () => {
    await proxy.close();
    await origin.close();
  });
  afterEach(() => expect(proxy.bugs).toEqual([]));

  /** Every file below a folder with the time it was last written. */
  const filesIn = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`)
      .sort();

  const HOSTILE = [
    'ca.private:443',
    'ca:443',
    '../../x:443',
    '..%2f..%2fx:443',
    'x/../../y:443',
    '/etc/x:443',
    'keys:443',
  ];

  it.each(HOSTILE)('writes no file for CONNECT %s', async (authority) => {
    const outside = (): string[] =>
      [proxy.folder, dirname(proxy.folder), process.cwd()].flatMap((at) => readdirSync(at));
    const before = [filesIn(proxy.folder), outside()];
    const line = await openLine(proxy.port);
    const answer = await line.ask(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}\r\n`);
    expect([200, 400]).toContain(answer.status);
    line.socket.destroy();
    if (answer.status === 200) {
      const inside = await openSecure(proxy, authority, { servername: 'ca.private' });
      inside.socket.destroy();
    }
    expect(filesIn(proxy.folder)).toEqual(before[0]);
    const written = (name: string): boolean => /^(x|y|keys|ca|ca\.private|\.\.2f)(\.|$)/.test(name);
    expect(outside().filter(written)).toEqual(before[1]?.filter(written));
    expect(existsSync(join(process.cwd(), '.http-mitm-proxy'))).toBe(false);
  });

  const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';

  it('survives an upgrade without Host, on the port, in a tunnel and inside TLS', async () => {
    const ways = [
      [await openLine(proxy.port), `GET / HTTP/1.1\r\n${AUTH}${UPGRADE}\r\n`, [200]],
      [
        await openLine(proxy.port),
        `GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\n${AUTH}${UPGRADE}\r\n`,
        [200],
      ],
      [await openTunnel(proxy, `shop.localhost:${origin.port}`), `GET / HTTP/1.1\r\n${UPGRADE}\r\n`, [200]],
      [await openSecure(proxy, 'no-such-name.invalid:443'), `GET / HTTP/1.1\r\n${UPGRADE}\r\n`, [502]],
      [await openLine(proxy.port), `GET / HTTP/1.1\r\nUpgrade:\r\nConnection: upgrade\r\n\r\n`, [200]],
    ] as const;
    for (const [line, text, statuses] of ways) {
      expect(statuses).toContain((await line.ask(text)).status);
      line.socket.destroy();
    }
    expect(origin.requests).toHaveLength(2);
  });

  it('authenticates upgrades', async () => {
    for (const url of [`http://shop.localhost:${origin.port}/`, '/sessions']) {
      const line = await openLine(proxy.port);
      expect((await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${UPGRADE}\r\n`)).status).toBe(407);
      line.socket.destroy();
    }
  });

  it('opens no listening port per host', async () => {
    const listening = (): number => process.getActiveResourcesInfo().filter((one) => one === 'TCPServerWrap').length;
    const before = listening();
    expect(before).toBeGreaterThan(0);
    const tunnels = await Promise.all(
      Array.from({ length: 20 }, (_, i) => openSecure(proxy, `host-${i}.localhost:443`)),
    );
    expect(listening()).toBe(before);
    for (const { socket } of tunnels) socket.destroy();
  });

  it('does not block the event loop to make a key for a new host', () => {
    const times = Array.from({ length: 21 }, (_, i) => {
      const startedAt = performance.now();
      proxy.app.authority.secureContextFor(`fresh-${i}.localhost`, undefined);
      return performance.now() - startedAt;
    }).sort((a, b) => a - b);
    // An RSA key of its own takes 130 ms and more; the median is deaf to a busy machine.
    expect(times[10]).toBeLessThan(40);
  });
});

describe('deadlines of the listener', () => {
  const listeners: Listener[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const listener of listeners.splice(0)) {
      listener.destroy();
      await listener.close();
    }
  });

  const start = async (options: Partial<ListenerOptions>, hooks: Partial<Hooks>): Promise<() => Promise<Socket>> => {
    const listener = listenerWith(hooks, options);
    listeners.push(listener);
    const { port } = await listener.listen();
    return async () => {
      const socket = createConnection(port, '127.0.0.1');
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    };
  };

  it('robustness G01 ends a head that trickles in', async () => {
    const codes: string[] = [];
    const open = await start(
      { headMs: 60 },
      {
        malformed: (socket, flaw) => {
          codes.push(flaw.message);
          socket.destroy();
        },
      },
    );
    const socket = await open();
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nX: ');
    const drip = setInterval(() => socket.write('x'), 5);
    await closed(socket);
    clearInterval(drip);
    expect(codes).toEqual(['head too slow']);
  });

  it('robustness G01 ends a connection that never says anything', async () => {
    const open = await start({ headMs: 60 }, {});
    const socket = await open();
    await closed(socket);
  });

  it('robustness G02 ends a kept connection that stays idle', async () => {
    const open = await start({ idleMs: 30 }, {});
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed(socket);
    expect(socket.bytesRead).toBeGreaterThan(0);
  });

  it('P-10 does not end a request whose body is still unread', async () => {
    let answer = (): void => {};
    const open = await start(
      { headMs: 40, idleMs: 40 },
      { request: (_request, _body, reply) => (answer = () => sendOk(reply)) },
    );
    const socket = await open();
    socket.write('POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf');
    // Several rounds of the check of connections go by.
    await new Promise((resolve) => setTimeout(resolve, 95));
    await new Promise((resolve) => setTimeout(resolve, 95));
    answer();
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toContain('200 OK');
  });

  it('T-20 does not wait long for a client that will not close its side after the last answer', async () => {
    let served: Socket | undefined;
    const open = await start(
      {},
      {
        malformed: (socket) => {
          served = socket;
          socket.write('bye');
          linger(socket);
        },
      },
    );
    const socket = await open();
    socket.allowHalfOpen = true;
    socket.write('nonsense\r\n\r\n');
    const startedAt = performance.now();
    await once(socket.resume(), 'end');
    socket.on('error', () => {});
    if (!served?.destroyed) await closed(served as Socket);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });

  it('T-20 notices at once that the client of a refused CONNECT has closed too', async () => {
    let served: Socket | undefined;
    const connect = (_request: unknown, socket: Socket): void => {
      served = socket;
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      linger(socket);
    };
    const open = await start({}, { connect });
    const socket = await open();
    socket.write('CONNECT x HTTP/1.1\r\n\r\n');
    await once(socket, 'data');
    socket.write(Buffer.alloc(500_000));
    socket.end();
    const startedAt = performance.now();
    if (!served?.destroyed) await once(served as Socket, 'close');
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  it('refuses to start where something listens already', async () => {
    const holder = await makeOrigin();
    await expect(start({ port: holder.port }, {})).rejects.toThrow('EADDRINUSE');
    listeners.length = 0;
    await holder.close();
  });
});
