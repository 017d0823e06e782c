/** Bodies in both directions: pauses, pressure, ends that come too early. */
import { describe, expect, it } from 'vitest';
import { type Fault, Refusal } from '../../src/model/errors.ts';
import type { BodySink, BodySource, InboundResponse, OutboundBody, OutboundRequest } from '../../src/pipeline/ports.ts';
import type { Origin } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { faultOf, fetchText, optionsFor, readBody, requestTo, stopButton, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const to = (site: Origin, more: Partial<OutboundRequest> = {}): OutboundRequest =>
  requestTo(targetOf('http', '127.0.0.1', site.port), more);

const get = (site: Origin, chunkMs = 5_000): Promise<InboundResponse> =>
  kit.transport().attempt(to(site), optionsFor({ chunkMs }), stopButton());

/** A reader one can slow down. */
const makeReader = (): { sink: BodySink; state: { bytes: number; room: boolean; ended: boolean; error?: Error } } => {
  const state: { bytes: number; room: boolean; ended: boolean; error?: Error } = { bytes: 0, room: true, ended: false };
  const sink: BodySink = {
    write(chunk) {
      state.bytes += chunk.length;
      return state.room;
    },
    end() {
      state.ended = true;
    },
    fail(error) {
      state.error = error;
    },
  };
  return { sink, state };
};

/** A request body one pushes by hand. */
const makeBody = (
  length?: number,
): { body: OutboundBody; sink(): BodySink; state: { aborted: boolean; resumed: number } } => {
  let taker: BodySink | undefined;
  const state = { aborted: false, resumed: 0 };
  const source: BodySource = {
    start(sink) {
      taker = sink;
    },
    resume() {
      state.resumed++;
    },
    abort() {
      state.aborted = true;
    },
  };
  return {
    body: { length, source },
    state,
    sink() {
      if (!taker) throw new Error('not started');
      return taker;
    },
  };
};

const failureOf = (response: InboundResponse): Promise<Fault> => faultOf(readBody(response.body));

describe('a response body', () => {
  it('A-06 ends with msgtimeout when it pauses longer than chunkMs while being read', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'hang');
    const fault = await failureOf(await get(site, 60));
    expect(fault).toMatchObject({ condition: 'msgtimeout', headRead: true });
    await until(() => site.open.size === 0);
  });

  it('A-06 may take any time in all as long as no pause is too long', async () => {
    const site = await kit.origin();
    const pieces = Array.from({ length: 8 }, () => [{ wait: 25 }, 'x'] as const).flat();
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n', ...pieces);
    expect(await readBody((await get(site, 90)).body)).toBe('xxxxxxxx');
  });

  it('A-06 counts no pause while nobody reads, before the start and between pause and resume', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', { wait: 30 }, 'def', { wait: 80 }, 'ghi');
    const { body } = await get(site, 40);
    await new Promise((resolve) => setTimeout(resolve, 80));
    const { sink, state } = makeReader();
    state.room = false;
    body.start(sink);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect([state.bytes, state.ended, state.error]).toEqual([6, false, undefined]);
    state.room = true;
    body.resume();
    await until(() => state.ended);
    expect(state.bytes).toBe(9);
  });

  it('robustness G07 is not read faster than its reader takes it', async () => {
    const site = await kit.origin();
    const size = 16 * 1024 * 1024;
    site.enqueue(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`, Buffer.alloc(size));
    const { body } = await get(site);
    const { sink, state } = makeReader();
    state.room = false;
    body.start(sink);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(state.bytes).toBeLessThan(256 * 1024);
    state.room = true;
    body.resume();
    await until(() => state.ended);
    expect(state.bytes).toBe(size);
  });

  it.each([
    ['fewer bytes than announced', 'Content-Length: 9\r\n\r\nabc', 'close', 'socket_closed_remotely'],
    ['no last chunk', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', 'close', 'socket_closed_remotely'],
    ['a reset', 'Content-Length: 9\r\n\r\nabc', 'reset', 'econnreset'],
    ['a reset of an unframed body', '\r\nabc', 'reset', 'econnreset'],
    ['bad chunk framing', 'Transfer-Encoding: chunked\r\n\r\nxyz', 'hang', 'send_failed'],
  ] as const)('E-10 that ends early fails, never ends cleanly: %s', async (_name, rest, end, condition) => {
    for (const delayMs of [0, 40]) {
      const site = await kit.origin();
      site.enqueue(`HTTP/1.1 200 OK\r\n${rest}`, { wait: 10 }, end);
      const response = await get(site);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      expect(await failureOf(response)).toMatchObject({ condition, headRead: true });
      await until(() => site.open.size === 0);
    }
  });

  it('without framing lasts until the target closes, also when it closed before the reader came', async () => {
    for (const delayMs of [0, 40]) {
      const site = await kit.origin();
      site.enqueue('HTTP/1.1 200 OK\r\n\r\nabc', { wait: 10 }, 'def', 'close');
      const response = await get(site);
      expect(response.length).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      expect(await readBody(response.body)).toBe('abcdef');
    }
  });

  it('is whole even when the target closes at once behind it', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc', 'close');
    const response = await get(site);
    await until(() => site.open.size === 0);
    expect(await readBody(response.body)).toBe('abc');
  });

  it('closes its connection at once when it is aborted, before or while being read', async () => {
    for (const started of [false, true]) {
      const site = await kit.origin();
      site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'hang');
      const { body } = await get(site);
      const { sink, state } = makeReader();
      if (started) body.start(sink);
      body.abort();
      await until(() => site.open.size === 0);
      expect([state.ended, state.error]).toEqual([false, undefined]);
    }
  });

  it('may be aborted from within a write', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n');
    const { body } = await get(site);
    const seen: string[] = [];
    body.start({
      write(chunk) {
        seen.push(chunk.toString());
        body.abort();
        return true;
      },
      end: () => seen.push('end'),
      fail: () => seen.push('fail'),
    });
    await until(() => site.open.size === 0);
    expect(seen).toEqual(['a']);
  });

  it('robustness A14: a response without one ends at once and the connection serves the next', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    site.enqueue('HTTP/1.1 204 No Content\r\n\r\n');
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n');
    const first = await fetchText(out, to(site));
    const second = await fetchText(out, to(site, { method: 'HEAD' }));
    const third = await fetchText(out, to(site));
    expect([first.response.length, second.response.length, third.text]).toEqual([0, 0, 'hello']);
    expect(site.accepted()).toBe(1);
  });
});

describe('a request body', () => {
  it('is sent as it comes, announced or chunked, and stops while the target does not take it', async () => {
    const site = await kit.origin({ early: false });
    const { body, sink, state } = makeBody();
    const answer = fetchText(kit.transport(), to(site, { method: 'POST', body }));
    await until(() => site.accepted() === 1);
    await until(() => site.received().includes('chunked'));
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let written = 0;
    while (written < 64 && sink().write(chunk)) written++;
    expect(written).toBeLessThan(64);
    await until(() => state.resumed > 0, 'drain');
    sink().end();
    expect((await answer).text).toBe('hello');
    expect(site.requests[0]?.body.length).toBe((written + 1) * chunk.length);
  });

  it('A-05 is given up when the answer comes first, and the connection is not used again', async () => {
    const site = await kit.origin({ early: true });
    site.enqueue('HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno');
    const { body, sink, state } = makeBody(1_000_000);
    const out = kit.transport();
    const answering = fetchText(out, to(site, { method: 'POST', body }));
    await until(() => site.accepted() === 1);
    sink().write(Buffer.alloc(1000));
    const answer = await answering;
    expect([answer.response.status, answer.text, state.aborted]).toEqual([413, 'no', true]);
    expect(sink().write(Buffer.alloc(1000))).toBe(false);
    await until(() => site.open.size === 0);
  });

  it('A-05 says how much was handed over when it fails', async () => {
    const site = await kit.origin();
    const partly = makeBody(100);
    const request = to(site, { method: 'POST', body: partly.body });
    const failing = faultOf(fetchText(kit.transport(), request));
    await until(() => site.accepted() === 1);
    for (const socket of site.open) socket.resetAndDestroy();
    expect(await failing).toMatchObject({ condition: 'econnreset', sent: 'some' });
    expect(partly.state.aborted).toBe(true);
    const whole = makeBody(1);
    site.enqueue('close');
    const closing = faultOf(fetchText(kit.transport(), to(site, { method: 'POST', body: whole.body })));
    await until(() => site.accepted() === 2);
    whole.sink().write(Buffer.from('x'));
    whole.sink().end();
    expect(await closing).toMatchObject({ condition: 'socket_closed_remotely', sent: 'all' });
  });

  it('that fails ends the attempt with its own error', async () => {
    const site = await kit.origin();
    const { body, sink } = makeBody(100);
    const error = new Refusal('msgtimeout');
    const answer = fetchText(kit.transport(), to(site, { method: 'POST', body }));
    await until(() => site.accepted() === 1);
    sink().fail(error);
    await expect(answer).rejects.toBe(error);
    await until(() => site.open.size === 0);
  });

  it.each([
    ['longer', 'xyz'],
    ['shorter', 'x'],
  ])('%s than announced never reaches the target as another request', async (_name, text) => {
    const site = await kit.origin();
    const { body, sink } = makeBody(2);
    const failing = faultOf(fetchText(kit.transport(), to(site, { method: 'POST', body })));
    await until(() => site.accepted() === 1);
    sink().write(Buffer.from(text));
    sink().end();
    expect(await failing).toMatchObject({ condition: 'send_failed' });
    expect(site.requests).toHaveLength(0);
  });

  it('A-06 counts as progress: time until the head starts anew with each piece', async () => {
    const site = await kit.origin();
    const { body, sink } = makeBody(3);
    const options = optionsFor({ headMs: 90 });
    const answer = fetchText(kit.transport(), to(site, { method: 'POST', body }), options);
    await until(() => site.accepted() === 1);
    for (const piece of 'abc') {
      await new Promise((resolve) => setTimeout(resolve, 50));
      sink().write(Buffer.from(piece));
    }
    sink().end();
    expect((await answer).text).toBe('hello');
    const silent = makeBody(1);
    site.enqueue('hang');
    const late = faultOf(fetchText(kit.transport(), to(site, { method: 'POST', body: silent.body }), options));
    await until(() => site.accepted() === 2);
    silent.sink().write(Buffer.from('x'));
    silent.sink().end();
    expect(await late).toMatchObject({ condition: 'timeout', sent: 'all' });
  });
});
