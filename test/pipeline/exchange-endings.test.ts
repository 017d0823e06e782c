/** Every way an exchange can end: one receipt, one answer at most, the seat given back once, no body forgotten. */
import { afterEach, describe, expect, it } from 'vitest';
import { Fault, Gone, Refusal } from '../../src/model/errors.ts';
import { makeExchange } from '../../src/pipeline/exchange.ts';
import type { BodySink, BodySource } from '../../src/pipeline/ports.ts';
import { makeStop } from '../../src/pipeline/stop.ts';
import { openLine } from '../support/client.ts';
import { listenerWith } from '../support/listening.ts';
import { until } from '../support/sockets.ts';
import { expectSettled, headerOf, jobOf, makeStage, type Stage, type StageOptions } from './exchange-house.ts';
import { brokenBody, page } from './exchange-script.ts';

const BAN = page(429, 'no!!');
const SETS_COOKIE = page(200, 'hello', { headers: ['Set-Cookie', 'a=b'] });
const FINE = page(200, 'hello');

describe('every ending is settled once', () => {
  const bug = (): never => {
    throw new TypeError('a bug of ours');
  };
  const bugs: readonly (readonly [where: string, options: StageOptions, admitted: boolean])[] = [
    ['the gate', { plays: [], parts: ({ gate }) => ({ gate: { ...gate, enter: bug } }) }, false],
    ['the gate, later', { plays: [], parts: ({ gate }) => ({ gate: { ...gate, enter: async () => bug() } }) }, false],
    ['the transport', { plays: [], parts: ({ transport }) => ({ transport: { ...transport, attempt: bug } }) }, true],
    ['the transport, later', { plays: [new TypeError('a bug of ours')] }, true],
    ['noting a ban', { plays: [BAN], parts: ({ gate }) => ({ gate: { ...gate, banned: bug } }) }, true],
    [
      'noting a ban, later',
      { plays: [BAN], parts: ({ gate }) => ({ gate: { ...gate, banned: async () => bug() } }) },
      true,
    ],
    ['judging', { plays: [FINE], rules: { bans: { judge: bug } } }, true],
    ['reading cookies', { plays: [], parts: ({ cookies }) => ({ cookies: { ...cookies, read: bug } }) }, true],
    [
      'keeping cookies',
      { plays: [SETS_COOKIE], parts: ({ cookies }) => ({ cookies: { ...cookies, keep: bug } }) },
      true,
    ],
    ['the next turn', { plays: [BAN], parts: ({ gate }) => ({ gate: { ...gate, again: bug } }) }, true],
    ['dressing', { plays: [FINE], parts: () => ({ random: bug }) }, true],
    ['the reply', { plays: [FINE], reply: () => ({ stream: bug }) }, true],
    ['the reply, later', { plays: [FINE], reply: () => ({ stream: async () => bug() }) }, true],
    [
      'the outlook',
      { plays: [BAN, BAN, BAN], parts: ({ gate }) => ({ gate: { ...gate, outlook: bug, banned: () => 0 } }) },
      true,
    ],
  ];
  it.each(bugs)('E-03 a bug in %s is logged and answered internal_error', async (_where, options, admitted) => {
    const stage = makeStage(options);
    const { transcript, answer, receipt } = await stage.run(jobOf());
    expect(transcript.end).toBe(500);
    expect(receipt).toMatchObject({ outcome: 'internal_error', reason: undefined });
    expect(answer).toMatchObject({ body: 'Unexpected error', head: { reason: 'Internal Server Error' } });
    expect(headerOf(stage, 'X-Crawlera-Error')).toBe('internal_error');
    expect(headerOf(stage, 'Retry-After')).toBeUndefined();
    expect(stage.bugs).toMatchObject([{ message: 'a bug of ours' }]);
    expectSettled(stage, admitted);
  });

  it('E-09 a machine out of sockets is overloaded: Retry-After 5, whatever the delay', async () => {
    const stage = makeStage({ plays: [new Fault('serverbusy', { reason: 'connect: EMFILE on this machine' })] });
    expect((await stage.run(jobOf())).transcript.end).toBe(503);
    expect(headerOf(stage, 'Retry-After')).toBe('5');
  });

  it('E-09 U-09 a store that is away is a busy server, and no bug', async () => {
    const lost = (): never => {
      throw new Refusal('serverbusy', { retryAfterMs: 5_000, reason: 'store away' });
    };
    const stage = makeStage({ plays: [], parts: ({ gate }) => ({ gate: { ...gate, enter: lost } }) });
    expect((await stage.run(jobOf())).transcript).toEqual({ attempts: [], end: 503 });
    expect(headerOf(stage, 'Retry-After')).toBe('5');
    expect(stage.bugs).toEqual([]);
    expectSettled(stage, false);
  });

  it('a refusal at the door', async () => {
    const stage = makeStage({ plays: [], outstanding: 0 });
    const { receipt } = await stage.run(jobOf());
    expect(receipt).toMatchObject({ status: 503, outcome: 'serverbusy', attempts: [] });
    expectSettled(stage, false);
  });

  it('E-10 a body that breaks', async () => {
    const stage = makeStage({ plays: [page(200, '', { body: brokenBody('part'), length: 9 })] });
    const { receipt, answer } = await stage.run(jobOf());
    expect(receipt).toMatchObject({ status: 200, outcome: 'cut', bytes: 4, attempts: [{ outcome: 'fine' }] });
    expect(receipt.reason).toContain('ECONNRESET');
    expect(answer).toMatchObject({ streamed: true, body: 'part' });
    expectSettled(stage);
  });

  const left = async (stage: Stage, when: () => boolean, job = jobOf()): Promise<void> => {
    const stop = makeStop();
    const ended = stage.run(job, undefined, stop);
    await until(when, 'the moment to leave');
    stop.press(new Gone());
    const { receipt } = await ended;
    expect(receipt).toMatchObject({ outcome: 'gone' });
    expect(stage.bugs).toEqual([]);
  };

  it('T-19 robustness G08 a client that leaves before anything', async () => {
    const stage = makeStage({ plays: [] });
    const stop = makeStop();
    stop.press(new Gone());
    expect((await stage.run(jobOf(), undefined, stop)).receipt).toMatchObject({ outcome: 'gone', attempts: [] });
    expect(stage.answers).toEqual([]);
    expectSettled(stage, false);
  });

  it('T-19 robustness G08 a client that leaves during an attempt', async () => {
    const stage = makeStage({ plays: ['silence'] });
    await left(stage, () => stage.attempted.length === 1);
    expect(stage.answers).toEqual([]);
    expectSettled(stage);
  });

  it('T-19 robustness G08 a client that leaves while its second turn is waited for', async () => {
    const stage = makeStage({ plays: [page(429, 'no', { headers: ['Retry-After', '100'] })] });
    await left(stage, () => stage.gate.load().waiting === 1);
    expect(stage.receipts).toMatchObject([{ status: undefined, attempts: [{ outcome: 'status-429' }] }]);
    expectSettled(stage);
  });

  it('T-19 robustness G08 a client that leaves while it is answered', async () => {
    let aborted = 0;
    const endless: BodySource = {
      start: (sink) => void sink.write(Buffer.from('part')),
      resume() {},
      abort: () => void aborted++,
    };
    const stage = makeStage({ plays: [page(200, '', { body: endless, length: undefined })] });
    await left(stage, () => stage.attempted.length === 1 && stage.unclaimed() === 0);
    expect(aborted).toBe(1);
    expect(stage.receipts).toMatchObject([{ status: 200, outcome: 'gone', bytes: 4 }]);
    expectSettled(stage);
  });

  it('T-19 one that leaves before a waiting request gets its turn holds nothing', async () => {
    const stage = makeStage({ plays: [FINE] });
    await stage.run(jobOf());
    const stop = makeStop();
    const waiting = makeExchange(stage.house)(jobOf(), undefined, stage.reply, stop);
    expect(stage.gate.load()).toEqual({ outstanding: 1, waiting: 1 });
    stop.press(new Gone());
    await waiting;
    expect(stage.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
    expect(stage.receipts.map((one) => one.outcome)).toEqual(['ok', 'gone']);
  });
});

describe('on the wire', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  const serve = async (stage: Stage): Promise<{ port: number }> => {
    const exchange = makeExchange(stage.house);
    const listener = listenerWith({
      request: (_request, _body, answer) => void exchange(jobOf(), undefined, answer, makeStop()),
    });
    const { port } = await listener.listen();
    closers.push(() => {
      listener.destroy();
      return listener.close();
    });
    return { port };
  };

  it('E-01 E-02 E-03 internal_error is a whole answer like any other', async () => {
    const stage = makeStage({ plays: [new TypeError('secret of the process')] });
    const line = await openLine((await serve(stage)).port);
    const answer = await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n');
    expect(answer).toMatchObject({ status: 500, reason: 'Internal Server Error', body: 'Unexpected error' });
    expect(answer.header('X-Crawlera-Error')).toBe('internal_error');
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(answer.header('Content-Type')).toBe('text/plain');
    expect(answer.header('Retry-After')).toBeUndefined();
    expect(answer.raw).not.toContain('secret');
    line.socket.destroy();
  });

  it('E-10 a bug in the middle of an answer cuts the connection', async () => {
    const start = (sink: BodySink): never => {
      sink.write(Buffer.from('part'));
      throw new TypeError('a bug of ours');
    };
    const stage = makeStage({
      plays: [page(200, '', { body: { start, resume() {}, abort() {} }, length: undefined })],
    });
    const line = await openLine((await serve(stage)).port);
    const answer = await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n').catch(() => undefined);
    await line.closed;
    expect(answer?.complete ?? false).toBe(false);
    expect(stage.bugs).toHaveLength(1);
    expectSettled(stage);
  });
});
