/** How bytes flow: in order, with backpressure in both directions, and cut visibly when they break (A15, G07, E-10). */
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { AUTH, get, openTunnel } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import { type Listening, listen, until } from '../support/sockets.ts';
import { gate, headFor, makeLines, makeStage } from './transport-kit.ts';

const stage = makeStage();
const line = makeLines();
const MIB = 1024 * 1024;

const servers: Listening[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
const serve = async (handle: (socket: Socket) => void): Promise<Listening> => {
  const server = await listen(createServer(handle));
  servers.push(server);
  return server;
};

/** Resolves when `count` has not grown for a while, with what it says then. */
const settled = async (count: () => number): Promise<number> => {
  for (let last = -1; ; ) {
    if (count() === last) return last;
    last = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

describe('pipelining', () => {
  it('robustness A15 answers in order while the first is delayed', async () => {
    const first = gate();
    stage.origin.enqueue({ until: first.passed }, reply('one'));
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/1') + headFor(stage, '/2') + headFor(stage, '/3'));
    await until(() => stage.origin.requests.length === 1, 'the first request');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([client.rest(), stage.origin.requests.length]).toEqual(['', 1]);
    first.open();
    const bodies = [(await client.read()).body, (await client.read()).body, (await client.read()).body];
    expect(bodies).toEqual(['one', 'hello', 'hello']);
  });

  it('robustness A15 answers in order while the first is held by pacing', async () => {
    const client = await line(stage.proxy.port);
    // An endpoint would answer at once; the request before it waits for a target.
    const slow = gate();
    stage.origin.enqueue({ until: slow.passed }, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    client.write(`${headFor(stage, '/1')}GET /sessions HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    await until(() => stage.origin.requests.length === 1, 'the first request');
    expect(client.rest()).toBe('');
    slow.open();
    await until(() => client.rest().includes('one'), 'the first answer to begin');
    expect(client.rest()).not.toContain('{}');
  });

  it('robustness A15 leaves nothing of a refused one in front of the others', async () => {
    const client = await line(stage.proxy.port);
    client.write(
      headFor(stage, '/1', 'Content-Length: 5\r\n', 'POST') +
        'hello' +
        headFor(stage, '/2', 'X-Crawlera-UA: x\r\nContent-Length: 5\r\n', 'POST') +
        'hello' +
        headFor(stage, '/3'),
    );
    const statuses = [(await client.read()).status, (await client.read()).status, (await client.read()).status];
    expect(statuses).toEqual([200, 540, 200]);
    expect(stage.origin.requests.map(({ head }) => head.split(' ')[1]).sort()).toEqual(['/1', '/3']);
  });
});

describe('backpressure', () => {
  it('robustness G07 lets a target write little more than what a slow client has read', async () => {
    const size = 200 * MIB;
    let written = 0;
    const target = await serve((socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        const chunk = Buffer.alloc(64 * 1024);
        const pump = (): void => {
          while (written < size) {
            written += chunk.length;
            if (!socket.write(chunk)) return;
          }
        };
        socket.on('drain', pump);
        pump();
      });
    });
    const client = await line(stage.proxy.port);
    client.socket.pause();
    client.write(`GET http://slow.localhost:${target.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    await until(() => written > 0, 'the target to write');
    const stalled = await settled(() => written);
    // What the kernel holds for four sockets and one read of each stream, far from the whole.
    expect(stalled).toBeLessThan(40 * MIB);
    const before = process.memoryUsage().arrayBuffers;
    expect(before).toBeLessThan(80 * MIB);
    client.socket.removeAllListeners('data');
    client.socket.resume();
    await until(() => written > stalled, 'the target to go on');
  });

  it('robustness G07 reads little more of an upload than its target takes', async () => {
    const target = await serve((socket) => socket.pause());
    const client = await line(stage.proxy.port);
    const head = `POST http://slow.localhost:${target.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: ${200 * MIB}\r\n\r\n`;
    let sent = 0;
    client.write(head);
    const chunk = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (sent < 200 * MIB) {
        sent += chunk.length;
        if (!client.socket.write(chunk)) return;
      }
    };
    client.socket.on('drain', pump);
    pump();
    expect(await settled(() => sent)).toBeLessThan(40 * MIB);
  });

  it('robustness A13 G07 sends a long upload on whole and in order', async () => {
    const body = Buffer.alloc(3 * MIB);
    for (let i = 0; i < body.length; i++) body[i] = (i * 31) & 255;
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', `Content-Length: ${body.length}\r\n`, 'PUT'));
    client.write(body);
    expect((await client.read()).status).toBe(200);
    expect(Buffer.from(stage.origin.requests[0]?.body ?? '', 'latin1').equals(body)).toBe(true);
  });
});

describe('a body that breaks', () => {
  it.each([
    ['fewer bytes than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'close'],
    ['fewer bytes than announced and a reset', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'reset'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', 'close'],
    ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf', 'close'],
    ['a malformed chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n', 'hang'],
  ] as const)('E-10 with %s is incomplete to the client too', async (_what, text, end) => {
    const begun = gate();
    stage.origin.enqueue(text.slice(0, -1), { until: begun.passed }, text.slice(-1), end);
    const client = await line(stage.proxy.port);
    client.write(headFor(stage));
    await until(() => client.rest().includes('\r\n\r\n'), 'the head');
    begun.open();
    const answer = await client.read();
    expect([answer.status, answer.complete]).toEqual([200, false]);
    await client.closed;
    expect(stage.proxy.receipts.at(-1)?.outcome).toBe('cut');
  });

  it('E-10 is incomplete inside a tunnel too', async () => {
    stage.origin.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'close');
    const inside = await openTunnel(stage.proxy, stage.authority);
    const answer = await inside.ask(`GET / HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`);
    expect(answer.complete).toBe(false);
    await inside.closed;
  });

  it('E-10 shows as a reset to HTTP/1.0, which has no other sign', async () => {
    const begun = gate();
    stage.origin.enqueue(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      { until: begun.passed },
      'reset',
    );
    const client = await line(stage.proxy.port);
    let error: NodeJS.ErrnoException | undefined;
    client.socket.on('error', (seen) => {
      error = seen;
    });
    client.write(headFor(stage).replace('HTTP/1.1', 'HTTP/1.0'));
    await until(() => client.rest().includes('half'), 'the beginning');
    begun.open();
    await client.closed;
    expect(error?.code).toBe('ECONNRESET');
  });

  it('A-12 is cut when it grows over the limit without having announced it', async () => {
    const { proxy } = stage;
    proxy.reload('limits: { response: 100KiB }');
    stage.origin.enqueue(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(300_000)}`, 'close');
    const client = await line(proxy.port);
    const answer = await client.ask(headFor(stage));
    expect([answer.status, answer.complete]).toEqual([200, false]);
    stage.origin.enqueue(`HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`);
    const announced = await get(proxy, `${stage.site}/`);
    expect([announced.status, announced.header('X-Crawlera-Error')]).toEqual([541, 'data_error']);
    proxy.reload('');
  });
});

describe('an answer that comes early', () => {
  it('T-20 reaches a client that is still sending much, whole, before its connection closes', async () => {
    const target = await serve((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\nConnection: close\r\n\r\nenough'),
      );
    });
    for (const url of [`http://early.localhost:${target.port}/`, 'http://10.0.0.1/', 'ftp://x/']) {
      const client = await line(stage.proxy.port);
      const size = 8 * MIB;
      client.write(`POST ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: ${size}\r\n\r\n`);
      let reset: Error | undefined;
      client.socket.on('error', (error) => {
        reset = error;
      });
      const sent = new Promise<Error | null | undefined>((resolve) => client.socket.write(Buffer.alloc(size), resolve));
      const answer = await client.read();
      // What is still on its way is dropped, not answered with a reset that could take the answer with it.
      expect([url, (await sent) ?? undefined, reset]).toEqual([url, undefined, undefined]);
      expect([url, answer.complete, answer.header('Connection')]).toEqual([url, true, 'close']);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      client.socket.end();
      await client.closed;
    }
  });

  it('T-20 leaves the connection usable when little was still to come', async () => {
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', 'X-Crawlera-UA: x\r\nContent-Length: 1000\r\n', 'POST'));
    expect((await client.read()).status).toBe(540);
    client.write('x'.repeat(1000));
    expect((await client.ask(headFor(stage))).status).toBe(200);
  });
});
