/** A client that goes away ends its attempt at once, whatever phase it is in, and frees its seat (T-19, robustness G08). */
import { createServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUTH, get, type Line, openSecure, openTunnel } from '../support/client.ts';
import { makeOrigin, type Origin, reply } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Listening, listen, until } from '../support/sockets.ts';
import { makeUpstream, type TestUpstream } from '../support/upstream.ts';
import { makeLines } from './transport-kit.ts';

const line = makeLines();
let origin: Origin;
let silent: Listening;
let proxy: RunningProxy;

/** One seat: a request that is answered shows that the one before it has left its own. */
const ONE_SEAT = `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n`;
const PACED = `${ONE_SEAT}pacing: { siteDelay: 60s, slaveDelay: 0ms }`;

beforeEach(async () => {
  origin = await makeOrigin();
  silent = await listen(createServer((socket) => socket.resume()));
  proxy = await startProxy(ONE_SEAT);
});
afterEach(async () => {
  await proxy.close();
  await origin.close();
  await silent.close();
  expect(proxy.bugs).toEqual([]);
});
const request = (url: string, more = '', method = 'GET'): string =>
  `${method} ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}${more}\r\n`;

const isFree = async (where: RunningProxy, url: string): Promise<void> => {
  const answer = await get(where, url);
  expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([200, undefined]);
};

const leave: Record<string, (client: Line) => void> = {
  // Nothing can be reset through TLS: there it is one more close.
  'a reset': ({ socket }) => (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy()),
  'a close': ({ socket }) => socket.destroy(),
  'the end of its side': ({ socket }) => socket.end(),
};

/** Leaves once `busy` says the phase is reached; the receipt and `quiet` must follow within a second. */
const leaveIn = async (how: string, client: Line, busy: () => boolean, quiet: () => boolean): Promise<void> => {
  await until(busy, 'the phase');
  const receipt = proxy.nextReceipt();
  const leftAt = performance.now();
  leave[how]?.(client);
  await until(quiet, 'the upstream socket to close', 1_000);
  expect((await receipt).outcome).toBe('gone');
  expect(performance.now() - leftAt).toBeLessThan(1_000);
};

describe.each(Object.keys(leave))('a client that leaves by %s', (how) => {
  const site = (): string => `http://shop.localhost:${origin.port}`;

  it('T-19 while its target is silent', async () => {
    const client = await line(proxy.port);
    client.write(request(`http://quiet.localhost:${silent.port}/`));
    await leaveIn(
      how,
      client,
      () => silent.open.size === 1,
      () => silent.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });

  it('T-19 while the response head is trickling in', async () => {
    origin.enqueue('HTTP/1.1 200 OK\r\nContent-Le', 'hang');
    const client = await line(proxy.port);
    const before = origin.requests.length;
    client.write(request(`${site()}/`));
    await leaveIn(
      how,
      client,
      () => origin.requests.length > before,
      () => origin.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });

  it('T-19 in the middle of the response body', async () => {
    origin.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'hang');
    const client = await line(proxy.port);
    client.write(request(`${site()}/`));
    await leaveIn(
      how,
      client,
      () => client.rest().endsWith('half'),
      () => origin.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });

  it('T-19 while sending its body', async () => {
    const client = await line(proxy.port);
    const before = origin.received().length;
    client.write(`${request(`${site()}/`, 'Content-Length: 10\r\n', 'POST')}half`);
    await leaveIn(
      how,
      client,
      () => origin.received().length > before,
      () => origin.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });

  it('T-19 while sending a chunked body', async () => {
    const client = await line(proxy.port);
    const before = origin.received().length;
    client.write(`${request(`${site()}/`, 'Transfer-Encoding: chunked\r\n', 'POST')}4\r\nhalf\r\n`);
    await leaveIn(
      how,
      client,
      () => origin.received().length > before,
      () => origin.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });

  it.each([
    ['plain', openTunnel],
    ['TLS', openSecure],
  ])('T-19 from inside a tunnel, %s', async (_kind, open) => {
    const client = await open(proxy, `quiet.localhost:${silent.port}`);
    client.write(`GET / HTTP/1.1\r\nHost: quiet.localhost\r\n\r\n`);
    // Inside TLS the proxy waits for the handshake of a target that says nothing.
    await leaveIn(
      how,
      client,
      () => silent.open.size === 1,
      () => silent.open.size === 0,
    );
    await isFree(proxy, `${site()}/`);
  });
});

describe('a client that leaves early', () => {
  let upstream: TestUpstream;
  let paced: RunningProxy;

  afterEach(async () => {
    await paced.close();
    await upstream?.close();
    expect(paced.bugs).toEqual([]);
  });

  it('T-19 while the upstream has not answered the CONNECT', async () => {
    upstream = await makeUpstream({ kind: 'http' });
    upstream.misbehaviour = { silent: true };
    paced = await startProxy(ONE_SEAT, [`http://127.0.0.1:${upstream.port}`]);
    const client = await line(paced.port);
    client.write(request('https://shop.localhost:4430/'));
    await until(() => upstream.open.size === 1, 'the upstream to be asked');
    const receipt = paced.nextReceipt();
    client.socket.destroy();
    await until(() => upstream.open.size === 0, 'the upstream socket to close', 1_000);
    expect((await receipt).outcome).toBe('gone');
  });

  it('T-19 P-06 while it is held by pacing, with and without a body', async () => {
    paced = await startProxy(PACED);
    const url = `http://shop.localhost:${origin.port}/`;
    await isFree(paced, url);
    const before = origin.requests.length;
    for (const text of [request(url), `${request(url, 'Content-Length: 4\r\n', 'POST')}body`]) {
      const client = await line(paced.port);
      client.write(text);
      // The only seat is taken: a second request shows that the first one is inside.
      await until(() => paced.receipts.length > 0, 'a receipt');
      let refused = await get(paced, url.replace('shop', 'other'));
      while (refused.status !== 429) refused = await get(paced, url.replace('shop', 'other'));
      const receipt = paced.nextReceipt();
      client.socket.destroy();
      expect(await receipt).toMatchObject({ outcome: 'gone', attempts: [] });
      expect((await get(paced, url.replace('shop', `free${text.length}`))).status).toBe(200);
    }
    const held = origin.requests.slice(before).filter(({ head }) => head.includes('Host: shop.localhost'));
    expect(held).toHaveLength(0);
  });

  it('T-19 with pipelined requests: the one that runs ends, the others never begin', async () => {
    paced = await startProxy();
    const client = await line(paced.port);
    client.write(request(`http://quiet.localhost:${silent.port}/`).repeat(3));
    await until(() => silent.open.size === 1, 'an attempt');
    const before = silent.accepted();
    client.socket.destroy();
    await until(() => silent.open.size === 0, 'the upstream socket to close', 1_000);
    await until(() => paced.receipts.length === 1, 'a receipt');
    await paced.close();
    expect(paced.receipts.map(({ outcome }) => outcome)).toEqual(['gone']);
    expect(silent.accepted()).toBe(before);
  });

  it('T-19 is no reason to leave when it only keeps quiet', async () => {
    paced = await startProxy(ONE_SEAT);
    origin.enqueue({ wait: 80 }, reply('late'));
    expect((await get(paced, `http://shop.localhost:${origin.port}/`)).body).toBe('late');
  });
});
