/** How streams of one connection get along: side by side, slow readers, those that leave, and the end of it all (T-08, T-19). */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { createServer } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeFakeClock } from '../support/fake-clock.ts';
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
  TYPE,
} from '../support/h2-client.ts';
import { makeOrigin, reply } from '../support/origin.ts';
import { KEY, startProxy } from '../support/proxy.ts';
import { type Listening, listen, until } from '../support/sockets.ts';
import { makeH2Stage, PLAIN } from './http2-kit.ts';
import { gate } from './transport-kit.ts';

vi.setConfig({ testTimeout: 20_000 });

const stage = makeH2Stage();
const seats = makeH2Stage({ yaml: `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 2 }\n` });
const clock = makeFakeClock();
const timed = makeH2Stage({ clock });
const session = () => openH2(stage.proxy, stage.authority);

/** A target that never stops sending. */
const endless = async (): Promise<Listening & { written(): number }> => {
  const chunk = 'x'.repeat(65_536);
  let written = 0;
  const server = createServer(stage.certificate, (socket) => {
    socket.on('error', () => {});
    const more = (): void => {
      do written += chunk.length;
      while (socket.write(chunk));
    };
    socket.on('drain', more);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      more();
    });
  });
  const target = await listen(server);
  onTestFinished(() => target.close());
  return { ...target, written: () => written };
};

describe('streams of one connection', () => {
  it('T-08 are answered as their targets answer, not in the order of asking', async () => {
    const held = gate();
    stage.origin.enqueue({ until: held.passed }, reply('late'));
    const client = await session();
    const late = ask(client, '/late', PLAIN);
    await until(() => stage.origin.requests.length === 1);
    const early = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(client, `/${i}`, PLAIN)));
    expect(early.map(({ body }) => body)).toEqual(Array(60).fill('hello'));
    held.open();
    expect((await late).body).toBe('late');
  });

  it('T-08 carry what belongs to them, however they are mixed', async () => {
    const client = await session();
    let round = 0;
    const requests = fc.array(
      fc.record({ size: fc.oneof(fc.constant(0), fc.nat({ max: 3_000 })), leaves: fc.boolean(), big: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 25,
      },
    );
    await fc.assert(
      fc.asyncProperty(requests, async (plan) => {
        stage.origin.requests.length = 0;
        round++;
        const answers = plan.map(({ size, leaves, big }, i) => {
          const body = Buffer.alloc(big ? size * 20 : size, 0x61 + i);
          const stream = client.request(
            { ...PLAIN, ':path': `/${round}/${i}`, ':method': 'POST' },
            { endStream: false },
          );
          const answer = answerOf(stream);
          if (leaves) {
            stream.write(body.subarray(0, 10));
            setImmediate(() => stream.destroy());
          } else stream.end(body);
          return answer;
        });
        const got = await Promise.all(answers);
        for (const [i, { leaves, size, big }] of plan.entries()) {
          if (leaves) continue;
          expect([got[i]?.status, got[i]?.body]).toEqual([200, 'hello']);
          const seen = stage.origin.requests.filter(({ head }) => head.startsWith(`POST /${round}/${i} `));
          expect(seen).toHaveLength(1);
          expect(seen[0]?.body).toBe(String.fromCharCode(0x61 + i).repeat(big ? size * 20 : size));
        }
      }),
      { numRuns: 12 },
    );
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
  });

  it('robustness F05 G07 a client that does not read keeps its target waiting, and nobody else', async () => {
    const target = await endless();
    const client = await openH2(stage.proxy, `shop.localhost:${target.port}`);
    const slow = client.request({ ...PLAIN, ':path': '/' });
    slow.on('error', () => {});
    await once(slow, 'response');
    let before = -1;
    while (before !== target.written()) {
      before = target.written();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // What sockets and streams on the way hold, and no more.
    expect(target.written()).toBeLessThan(20_000_000);
    const quick = client.request({ ...PLAIN, ':path': '/', ':method': 'GET' });
    quick.on('error', () => {});
    let got = 0;
    quick.on('data', (piece: Buffer) => {
      got += piece.length;
    });
    await until(() => got > 1_000_000, 'the other stream');
    const receipt = stage.proxy.nextReceipt();
    slow.close(8);
    expect((await receipt).outcome).toBe('gone');
    quick.close(8);
  });
});

describe('a client that leaves a stream', () => {
  it('T-19 robustness G08 ends that attempt at once and frees its seat; its neighbour goes on', async () => {
    const held = gate();
    seats.origin.fallback = ['hang'];
    seats.origin.enqueue({ until: held.passed }, reply('kept'));
    const client = await openH2(seats.proxy, seats.authority);
    const neighbour = ask(client, '/neighbour', PLAIN);
    await until(() => seats.origin.requests.length === 1);
    const leaving = client.request({ ...PLAIN, ':path': '/leaving' });
    leaving.on('error', () => {});
    await until(() => seats.origin.requests.length === 2);
    expect((await ask(client, '/', PLAIN)).headers['x-crawlera-error']).toBe('too_many_conns');
    const open = seats.origin.open.size;
    const receipt = seats.proxy.nextReceipt();
    leaving.close(8);
    expect((await receipt).outcome).toBe('gone');
    await until(() => seats.origin.open.size === open - 1, 'the target to be let go', 1_000);
    seats.origin.fallback = [reply('hello')];
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
    held.open();
    expect((await neighbour).body).toBe('kept');
  });

  it.each([0, 2, 8])(
    'T-19 in the middle of its body, with code %i, never makes a whole request of it',
    async (code) => {
      const raw = await openRaw(stage.proxy, stage.authority);
      const block = literals([
        [':method', 'POST'],
        [':scheme', 'https'],
        [':authority', stage.authority],
        [':path', '/'],
      ]);
      raw.send(frame(TYPE.headers, END_HEADERS, 1, block), frame(TYPE.data, 0, 1, 'half of it'));
      const from = stage.origin.received().length;
      await until(() => stage.origin.received().slice(from).endsWith('half of it\r\n'), 'the first half');
      const open = stage.origin.open.size;
      const receipt = stage.proxy.nextReceipt();
      raw.send(frame(TYPE.reset, 0, 1, Buffer.of(0, 0, 0, code)));
      expect((await receipt).outcome).toBe('gone');
      await until(() => stage.origin.open.size === open - 1, 'the target to be let go', 1_000);
      expect(stage.origin.received().slice(from)).toMatch(/half of it\r\n$/);
    },
  );

  it('T-19 robustness G08 with a connection that it resets while much is on its way is noticed', async () => {
    const target = await endless();
    for (let round = 0; round < 8; round++) {
      const secure = await openAlpn(stage.proxy, `shop.localhost:${target.port}`, ['h2']);
      const client = connect(`https://shop.localhost:${target.port}`, { createConnection: () => secure });
      client.on('error', () => {});
      const stream = client.request({ ...PLAIN, ':path': '/' });
      stream.on('error', () => {});
      await once(stream, 'data');
      const receipt = stage.proxy.nextReceipt();
      client.destroy();
      secure.destroy();
      expect((await receipt).outcome).toBe('gone');
      await until(() => target.open.size === 0, 'the target to be let go', 1_000);
    }
  });

  it('T-19 with its whole connection ends all of its requests', async () => {
    stage.origin.fallback = ['hang'];
    const client = await session();
    for (let i = 0; i < 5; i++) client.request({ ...PLAIN, ':path': `/${i}` }).on('error', () => {});
    await until(() => stage.origin.requests.length === 5);
    stage.proxy.receipts.length = 0;
    client.destroy();
    await until(() => stage.proxy.receipts.length === 5, 'receipts', 1_000);
    expect(stage.proxy.receipts.map(({ outcome }) => outcome)).toEqual(Array(5).fill('gone'));
  });
});

describe('answers that end early', () => {
  it('E-10 a chunked body that breaks off is reset without an end', async () => {
    stage.origin.enqueue('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n', 'close');
    const raw = await openRaw(stage.proxy, stage.authority);
    const block = literals([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', stage.authority],
      [':path', '/'],
    ]);
    raw.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, block));
    await until(() => raw.frames.some(({ type }) => type === TYPE.reset), 'a reset');
    const data = raw.frames.filter(({ type }) => type === TYPE.data);
    expect(Buffer.concat(data.map(({ payload }) => payload)).toString()).toBe('only this');
    expect(data.every(({ flags }) => (flags & END_STREAM) === 0)).toBe(true);
    expect(raw.frames.find(({ type }) => type === TYPE.reset)?.payload.readUInt32BE()).toBe(2);
  });

  it('T-17 a refusal before the upload is over is a whole answer, and stops the upload', async () => {
    const client = await session();
    const stream = client.request(
      { 'x-crawlera-ua': 'nonsense', ':path': '/', ':method': 'POST' },
      { endStream: false },
    );
    const answer = answerOf(stream);
    const push = (): void => {
      while (!stream.destroyed && stream.write(Buffer.alloc(65_536)));
    };
    stream.on('drain', push);
    push();
    expect(await answer).toMatchObject({ status: 540, reset: 0, body: expect.stringContaining('X-Crawlera-UA') });
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
  });
});

describe('the end of a connection', () => {
  it('robustness G13 a shutdown sends GOAWAY, lets what runs finish, and is then over', async () => {
    const proxy = await startProxy('listen: { http2: true }\n');
    const held = gate();
    const target = await makeOrigin();
    onTestFinished(() => target.close());
    target.enqueue({ until: held.passed }, reply('in time'));
    const client = await openH2(proxy, `localhost:${proxy.port}`);
    const running = ask(client, `/fetch?url=${encodeURIComponent(`http://shop.localhost:${target.port}/`)}`);
    await until(() => target.requests.length === 1);
    const goaway = once(client, 'goaway');
    const closing = proxy.close();
    await goaway;
    held.open();
    expect(await running).toMatchObject({ status: 200, body: 'in time', reset: 0 });
    await closing;
    expect(client.closed).toBe(true);
    expect(proxy.bugs).toEqual([]);
  });

  it('robustness G02 one without a stream is closed after two minutes, pings or not', async () => {
    const client = await openH2(timed.proxy, timed.authority);
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
    const closed = once(client, 'close');
    await clock.advance(119_000);
    await new Promise((resolve) => client.ping(resolve));
    expect(client.closed).toBe(false);
    await clock.advance(2_000);
    await closed;
  });

  it('a client that ends its side has left', async () => {
    const raw = await openRaw(stage.proxy, stage.authority);
    await until(() => raw.frames.length > 0);
    raw.socket.end();
    await until(raw.ended, 'the end of the connection');
  });
});
