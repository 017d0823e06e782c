/** The life of one request as transcripts: what is tried in which order, and what is told at the end. */
import { describe, expect, it } from 'vitest';
import { Fault, type FaultDetail } from '../../src/model/errors.ts';
import type { Job } from '../../src/model/job.ts';
import { makeRequestBody } from '../../src/pipeline/body.ts';
import type { BodySource } from '../../src/pipeline/ports.ts';
import { expectSettled, headerOf, jobOf, makeStage, type Stage } from './exchange-house.ts';
import { type Play, page } from './exchange-script.ts';

const BAN = page(429, 'no!!');
const FINE = page(200, 'hello');
const fault = (condition: Fault['condition'], detail: FaultDetail = {}): Fault =>
  new Fault(condition, { reason: 'scripted', ...detail });
const DEAD = fault('noslaves', { upstreamFailed: true });
const RESET = fault('econnreset', { sent: 'all' });

type Case = [
  what: string,
  plays: readonly Play[],
  attempts: readonly string[],
  end: number,
  code?: string | undefined,
  job?: Job,
];

describe('transcripts', () => {
  const cases: Case[] = [
    ['A-01 an answer', [FINE], ['one:fine'], 200],
    ['A-01 a ban, then an answer', [BAN, FINE], ['one:status-429', 'two:fine'], 200],
    ['A-02 a reset, then an answer', [RESET, FINE], ['one:econnreset', 'two:fine'], 200],
    ['A-04 a dead upstream, then an answer', [DEAD, FINE], ['one:noslaves', 'two:fine'], 200],
    [
      'A-10 bans through all',
      [BAN, BAN, BAN],
      ['one:status-429', 'two:status-429', 'three:status-429'],
      503,
      'slavebanned',
    ],
    [
      'A-01 a failure, once all were used, through the one used longest ago',
      [RESET, RESET, RESET, FINE],
      ['one:econnreset', 'two:econnreset', 'three:econnreset', 'one:fine'],
      200,
    ],
    ['A-02 a timeout ends it', [fault('timeout')], ['one:timeout'], 504, 'timeout'],
    [
      'A-02 A-03 a timeout after a ban ends it',
      [BAN, fault('timeout')],
      ['one:status-429', 'two:timeout'],
      503,
      'slavebanned',
    ],
    [
      'A-02 an address nobody may dial ends it',
      [fault('domain_forbidden')],
      ['one:domain_forbidden'],
      523,
      'domain_forbidden',
    ],
    ['a machine out of sockets ends it', [fault('serverbusy')], ['one:serverbusy'], 503, 'serverbusy'],
    ['A-02 half a head ends it', [fault('econnreset', { headRead: true })], ['one:econnreset'], 502, 'econnreset'],
    [
      'A-04 upstreams alone',
      [DEAD, DEAD, DEAD, DEAD, DEAD, DEAD],
      ['one', 'two', 'three', 'three', 'three', 'three'].map((id) => `${id}:noslaves`),
      503,
      'noslaves',
    ],
    [
      'A-04 upstreams and the target',
      [RESET, DEAD],
      ['one:econnreset', 'two:noslaves'],
      502,
      'econnreset',
      jobOf(['X-Crawlera-Max-Retries', '1']),
    ],
    [
      'A-03 a ban among failures',
      [RESET, BAN, RESET],
      ['one:econnreset', 'two:status-429', 'three:econnreset'],
      503,
      'slavebanned',
      jobOf(['X-Crawlera-Max-Retries', '2']),
    ],
    ['H-17 no retries wanted', [BAN], ['one:status-429'], 503, 'slavebanned', jobOf(['X-Crawlera-Max-Retries', '0'])],
    ['H-25 no ban check', [BAN], ['one:fine'], 429, undefined, jobOf(['X-Crawlera-No-Bancheck', '1'])],
    ['A-05 a POST that was sent', [RESET], ['one:econnreset'], 502, 'econnreset', jobOf([], { method: 'POST' })],
    [
      'A-05 a POST that was not',
      [fault('econnreset', { sent: 'some' }), FINE],
      ['one:econnreset', 'two:fine'],
      200,
      undefined,
      jobOf([], { method: 'POST' }),
    ],
    [
      'A-05 a POST that was banned',
      [BAN, FINE],
      ['one:status-429', 'two:fine'],
      200,
      undefined,
      jobOf([], { method: 'POST' }),
    ],
    ['A-12 too much', [page(200, 'x'.repeat(1_001))], ['one:fine'], 541, 'data_error'],
  ];

  it.each<Case>(cases)('%s', async (_what, plays, attempts, end, code, job = jobOf()) => {
    const stage = makeStage({ plays });
    const { transcript } = await stage.run(job);
    expect(transcript).toEqual({ attempts, end });
    expect(headerOf(stage, 'X-Crawlera-Error')).toBe(code);
    expect(stage.attempted).toHaveLength(plays.length);
    expect(stage.bugs).toEqual([]);
    expectSettled(stage);
  });

  it('P-07 each attempt waits for its turn, and the receipt adds the waits up', async () => {
    const stage = makeStage({ plays: [BAN, BAN, FINE] });
    const { receipt } = await stage.run(jobOf());
    expect(receipt.waitedMs).toBe(400);
  });

  it('A-08 a 429 that says how long puts off the next attempt too', async () => {
    const stage = makeStage({ plays: [page(429, 'no', { headers: ['Retry-After', '7'] }), FINE] });
    const { receipt, transcript } = await stage.run(jobOf());
    expect(transcript.end).toBe(200);
    expect(receipt.waitedMs).toBe(7_000);
  });

  it('R-05 H-19 the debug headers tell of the last attempt', async () => {
    const stage = makeStage({
      plays: [page(429, 'no', { requestMs: 900 }), page(200, 'yes', { requestMs: 1_112.218 })],
    });
    await stage.run(jobOf(['X-Crawlera-Debug', 'request-time, ua, attempts']));
    expect(headerOf(stage, 'X-Crawlera-Debug-Request-Time')).toBe('1.112218');
    const sent = stage.attempted[1]?.request.headers ?? [];
    expect(headerOf(stage, 'X-Crawlera-Debug-UA')).toBe(sent[sent.indexOf('User-Agent') + 1]);
    const attempts = 'one.localhost:3128=status-429, two.localhost:3128=fine';
    expect(headerOf(stage, 'X-Crawlera-Debug-Attempts')).toBe(attempts);
  });

  it('R-05 no time of an earlier attempt stands in for the last one', async () => {
    const stage = makeStage({ plays: [BAN, fault('timeout')] });
    await stage.run(jobOf(['X-Crawlera-Debug', 'request-time']));
    expect(headerOf(stage, 'X-Crawlera-Error')).toBe('slavebanned');
    expect(headerOf(stage, 'X-Crawlera-Debug-Request-Time')).toBeUndefined();
  });
});

describe('sessions', () => {
  it('S-12 A-01 the request that makes one may rotate; the session keeps the last upstream', async () => {
    const stage = makeStage({ plays: [BAN, RESET, FINE, FINE] });
    const { transcript, receipt } = await stage.run(jobOf(['X-Crawlera-Session', 'create']));
    expect(transcript).toEqual({ attempts: ['one:status-429', 'two:econnreset', 'three:fine'], end: 200 });
    const id = receipt.session ?? '';
    expect(headerOf(stage, 'X-Crawlera-Session')).toBe(id);
    expect(stage.left).toMatchObject([{ upstream: { id: 'three' } }]);
    const next = await stage.run(jobOf(['X-Crawlera-Session', id]));
    expect(next.transcript).toEqual({ attempts: ['three:fine'], end: 200 });
    expect(stage.attempted[3]?.options).toMatchObject({ owner: `demo/${id}`, session: id });
  });

  it('S-14 S-17 in one there is neither rotation nor retry', async () => {
    const stage = makeStage({ plays: [FINE, RESET, BAN] });
    const { receipt } = await stage.run(jobOf(['X-Crawlera-Session', 'create']));
    const inSession = jobOf(['X-Crawlera-Session', receipt.session ?? '']);
    expect((await stage.run(inSession)).transcript).toEqual({ attempts: ['one:econnreset'], end: 502 });
    expect((await stage.run(inSession)).transcript).toEqual({ attempts: ['one:status-429'], end: 503 });
    expect(headerOf(stage, 'Retry-After')).toBe('600');
    expect((await stage.run(inSession)).transcript).toEqual({ attempts: [], end: 503 });
    expect(headerOf(stage, 'X-Crawlera-Session')).toBe(receipt.session);
  });

  it('S-21 G-01 one keeps its browser, others change theirs', async () => {
    const agentsOf = (stage: Stage): Set<string | undefined> =>
      new Set(stage.attempted.map(({ request: { headers } }) => headers[headers.indexOf('User-Agent') + 1]));
    const plays = Array<Play>(12).fill(FINE);
    const free = makeStage({ plays });
    for (let n = 0; n < 12; n++) await free.run(jobOf());
    expect(agentsOf(free).size).toBeGreaterThan(1);
    const stage = makeStage({ plays });
    const { receipt } = await stage.run(jobOf(['X-Crawlera-Session', 'create']));
    for (let n = 0; n < 11; n++) await stage.run(jobOf(['X-Crawlera-Session', receipt.session ?? '']));
    expect(agentsOf(stage).size).toBe(1);
  });
});

describe('request bodies', () => {
  const given = (text: string, keepBytes: number, stage: Stage) => {
    let aborted = 0;
    const source: BodySource = {
      start(sink) {
        sink.write(Buffer.from(text));
        sink.end();
      },
      resume() {},
      abort: () => void aborted++,
    };
    const body = makeRequestBody(source, text.length, { keepBytes, stallMs: 1_000 }, stage.clock);
    return { body, aborted: () => aborted };
  };

  it('A-05 robustness H07 every attempt gets the same, and the client is let go at the end', async () => {
    const stage = makeStage({ plays: [BAN, fault('econnreset', { sent: 'some' }), FINE] });
    const { body, aborted } = given('one body', 8, stage);
    const { transcript } = await stage.run(jobOf([], { method: 'POST' }), body);
    expect(transcript.end).toBe(200);
    expect(stage.attempted.map((one) => one.body)).toEqual(['one body', 'one body', 'one body']);
    expect(aborted()).toBe(1);
    expect(stage.clock.pending()).toBeLessThanOrEqual(1);
  });

  it('A-05 one too long to be kept is sent once', async () => {
    const stage = makeStage({ plays: [BAN] });
    const { body, aborted } = given('one body', 7, stage);
    const { transcript } = await stage.run(jobOf([], { method: 'PUT' }), body);
    expect(transcript).toEqual({ attempts: ['one:status-429'], end: 503 });
    expect(aborted()).toBe(1);
  });
});
