/** T-18 in the exchange: a 101 is handed over once, keeps its seat until it ends, and is given up where nobody can take it. */
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Gone } from '../../src/model/errors.ts';
import type { Delivery } from '../../src/pipeline/ports.ts';
import { expectSettled, headerOf, jobOf, makeStage } from './exchange-house.ts';
import { page } from './exchange-script.ts';

const connection = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });

const HEADERS = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Accept', 'a'];

const JOB = { webSocket: true };

describe('a 101', () => {
  it.each([
    ['ended', undefined, 'ok', undefined],
    ['fell silent', new Error('idle'), 'cut', 'idle'],
    ['lost its client', new Gone(), 'gone', 'client left'],
  ] as const)('T-18 L-01 that %s: one receipt, written at its end, and a seat held so long', async (...row) => {
    const [, failure, outcome, reason] = row;
    const upgraded = connection();
    let finish = (_delivery: Delivery): void => {};
    const stage = makeStage({
      plays: [page(101, '', { upgraded, headers: HEADERS, body: { start() {}, resume() {}, abort() {} } })],
      reply: () => ({
        upgrade: (head, target) => {
          expect([head.status, target]).toEqual([101, upgraded]);
          expect(head.headers.slice(0, 6)).toEqual(HEADERS);
          expect(head.headers.slice(6)).toEqual([
            'X-Crawlera-Version',
            '9.8.7',
            'X-Crawlera-Slave',
            expect.any(String),
          ]);
          return new Promise((resolve) => {
            finish = resolve;
          });
        },
      }),
    });
    const running = stage.run(jobOf([], JOB));
    while (stage.attempted.length === 0) await stage.clock.advance(1);
    await stage.clock.advance(1);
    expect([stage.receipts.length, stage.gate.load().outstanding]).toEqual([0, 1]);
    expect(stage.attempted[0]?.request.webSocket).toBe(true);
    finish({ bytes: 7, failure });
    const { receipt } = await running;
    expect(receipt).toMatchObject({ status: 101, outcome, reason, bytes: 7, attempts: [{ outcome: 'fine' }] });
    expect([stage.receipts.length, stage.left.length, stage.gate.load().outstanding]).toEqual([1, 1, 0]);
  });

  it('A-08 is not judged, even where its head looks like a ban', async () => {
    const stage = makeStage({
      plays: [page(101, '', { upgraded: connection(), body: { start() {}, resume() {}, abort() {} } })],
      rules: {
        bans: {
          judge() {
            throw new Error('judged');
          },
        },
      },
      reply: () => ({ upgrade: () => Promise.resolve({ bytes: 0, failure: undefined }) }),
    });
    const { receipt } = await stage.run(jobOf([], JOB));
    expect(receipt.outcome).toBe('ok');
    expect(stage.bugs).toEqual([]);
  });

  it('E-01 for a client that cannot take one it is given up, as a bug', async () => {
    let aborted = 0;
    const body = { start() {}, resume() {}, abort: () => aborted++ };
    const stage = makeStage({ plays: [page(101, '', { upgraded: connection(), body })] });
    const { receipt } = await stage.run(jobOf([], JOB));
    expect([receipt.status, receipt.outcome, aborted]).toEqual([500, 'internal_error', 1]);
    expect(headerOf(stage, 'X-Crawlera-Error')).toBe('internal_error');
    expect(stage.bugs).toHaveLength(1);
  });

  it('A-08 any other answer to a handshake is judged and tried again', async () => {
    const stage = makeStage({ plays: [page(429), page(200, 'a page')] });
    const { transcript } = await stage.run(jobOf([], JOB));
    expect(transcript).toEqual({ attempts: ['one:status-429', 'two:fine'], end: 200 });
    expectSettled(stage);
  });
});
