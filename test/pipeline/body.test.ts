/** The client's request body: read once, sent as often as it takes, timed only while somebody wants it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gone, Refusal } from '../../src/model/errors.ts';
import { makeRequestBody, type RequestBody } from '../../src/pipeline/body.ts';
import type { BodySink, BodySource } from '../../src/pipeline/ports.ts';
import { type FakeClock, makeFakeClock } from '../support/fake-clock.ts';

const STALL_MS = 1_000;

/** The client's side, played by hand. */
interface Client extends BodySource {
  readonly calls: string[];
  /** True when there is room for more. */
  say(text: string): boolean;
  end(): void;
  fail(error: Error): void;
}

const makeClient = (): Client => {
  const calls: string[] = [];
  let sink: BodySink | undefined;
  const taker = (): BodySink => {
    if (!sink) throw new Error('nobody listens');
    return sink;
  };
  return {
    calls,
    start(given) {
      sink = given;
      calls.push('start');
    },
    resume: () => void calls.push('resume'),
    abort: () => void calls.push('abort'),
    say: (text) => taker().write(Buffer.from(text)),
    end: () => taker().end(),
    fail: (error) => taker().fail(error),
  };
};

interface Taker extends BodySink {
  text: string;
  room: boolean;
  ended: number;
  error: Error | undefined;
}

const makeTaker = (room = true): Taker => {
  const taker: Taker = {
    text: '',
    room,
    ended: 0,
    error: undefined,
    write(chunk) {
      taker.text += chunk.toString('latin1');
      return taker.room;
    },
    end: () => void taker.ended++,
    fail(error) {
      taker.error = error;
    },
  };
  return taker;
};

interface Bench {
  readonly client: Client;
  readonly clock: FakeClock;
  readonly body: RequestBody;
}

const makeBench = (keepBytes = 100, length: number | undefined = undefined): Bench => {
  const client = makeClient();
  const clock = makeFakeClock();
  return { client, clock, body: makeRequestBody(client, length, { keepBytes, stallMs: STALL_MS }, clock) };
};

/** One attempt's reading; `source.abort` ends it. */
const attempt = (body: RequestBody, taker = makeTaker()): { taker: Taker; source: BodySource } => {
  const { source } = body.open();
  source.start(taker);
  return { taker, source };
};

describe('reading', () => {
  it('T-17 nothing is asked of the client before an attempt wants the body', () => {
    const { client, body, clock } = makeBench();
    body.open();
    expect(client.calls).toEqual([]);
    expect(clock.pending()).toBe(0);
    attempt(body);
    expect(client.calls).toEqual(['start']);
  });

  it('A-11 what comes goes on at once, and the end with it', () => {
    const { client, body } = makeBench();
    const { taker } = attempt(body);
    client.say('one');
    expect(taker.text).toBe('one');
    client.say(' two');
    client.end();
    expect([taker.text, taker.ended]).toEqual(['one two', 1]);
  });

  it('robustness G07 a full upstream stops the client, and only its own resume lets it go on', () => {
    const { client, body } = makeBench();
    const { taker, source } = attempt(body);
    taker.room = false;
    expect(client.say('one')).toBe(false);
    expect(client.calls).toEqual(['start']);
    taker.room = true;
    source.resume();
    expect(client.calls).toEqual(['start', 'resume']);
  });

  it('tells the announced length', () => {
    expect(makeBench(100, 7).body.open().length).toBe(7);
    expect(makeBench(100).body.open().length).toBeUndefined();
  });
});

describe('sending again', () => {
  it('A-05 the next attempt gets what was read, and then the rest as it comes', () => {
    const { client, body } = makeBench();
    const first = attempt(body);
    client.say('one ');
    first.source.abort();
    expect(client.say('two ')).toBe(false);
    const second = attempt(body);
    expect(second.taker.text).toBe('one two ');
    client.say('three');
    client.end();
    expect([second.taker.text, second.taker.ended]).toEqual(['one two three', 1]);
    expect([first.taker.text, first.taker.ended]).toEqual(['one ', 0]);
    expect(client.calls).toEqual(['start', 'resume']);
  });

  it('A-05 a body that has ended is played whole, as often as wanted', () => {
    const { client, body, clock } = makeBench();
    attempt(body);
    client.say('all of it');
    client.end();
    for (let n = 0; n < 3; n++) expect(attempt(body).taker).toMatchObject({ text: 'all of it', ended: 1 });
    expect(client.calls).toEqual(['start']);
    expect(clock.pending()).toBe(0);
  });

  it('A-05 up to the limit it is kept, one byte more and it is not', () => {
    const { client, body } = makeBench(8);
    attempt(body);
    client.say('12345678');
    expect(body.replayable).toBe(true);
    client.say('9');
    expect(body.replayable).toBe(false);
  });

  it('A-05 beyond the limit it still reaches the attempt that is reading', () => {
    const { client, body } = makeBench(4);
    const { taker } = attempt(body);
    for (const part of ['123', '456', '789']) client.say(part);
    client.end();
    expect([taker.text, taker.ended]).toEqual(['123456789', 1]);
  });

  it('an attempt that has had enough while it is played gets no more', () => {
    const { client, body, clock } = makeBench();
    const first = attempt(body);
    client.say('one');
    first.source.abort();
    const { source } = body.open();
    const quitter = makeTaker();
    const { write } = quitter;
    quitter.write = (chunk) => {
      source.abort();
      return write(chunk);
    };
    source.start(quitter);
    expect(clock.pending()).toBe(0);
    expect(client.say('two')).toBe(false);
    expect(attempt(body).taker.text).toBe('onetwo');
  });

  it('A-05 robustness H07 whatever the pieces and whenever attempts end, the last one gets every byte once', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.string({ minLength: 1, maxLength: 9, unit: 'binary-ascii' }) },
      { weight: 1, arbitrary: fc.constant(undefined) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, endsEarly) => {
        const { client, body, clock } = makeBench(1_000);
        let running = attempt(body);
        let whole = '';
        for (const text of steps) {
          if (text === undefined) {
            running.source.abort();
            running = attempt(body);
            continue;
          }
          whole += text;
          client.say(text);
        }
        if (endsEarly) running.source.abort();
        client.end();
        if (endsEarly) running = attempt(body);
        expect(running.taker).toMatchObject({ text: whole, ended: 1 });
        expect(clock.pending()).toBe(0);
      }),
    );
  });
});

describe('a client that stalls', () => {
  const stalled = (taker: Taker): boolean =>
    taker.error instanceof Refusal && taker.error.condition === 'msgtimeout' && taker.ended === 0;

  it('E-03 is told msgtimeout after the timeout, which every piece starts anew', async () => {
    const { client, body, clock } = makeBench();
    const { taker } = attempt(body);
    for (let n = 0; n < 3; n++) {
      await clock.advance(STALL_MS - 1);
      client.say('x');
    }
    expect(taker.error).toBeUndefined();
    await clock.advance(STALL_MS);
    expect(stalled(taker)).toBe(true);
  });

  it('robustness G02 may not stall before its first byte either', async () => {
    const { body, clock } = makeBench();
    const { taker } = attempt(body);
    await clock.advance(STALL_MS);
    expect(stalled(taker)).toBe(true);
  });

  it('A-06 is not blamed while the upstream takes nothing', async () => {
    const { client, body, clock } = makeBench();
    const { taker, source } = attempt(body);
    taker.room = false;
    client.say('x');
    await clock.advance(10 * STALL_MS);
    expect(taker.error).toBeUndefined();
    source.resume();
    await clock.advance(STALL_MS);
    expect(stalled(taker)).toBe(true);
  });

  it('A-06 P-07 is not blamed between two attempts', async () => {
    const { client, body, clock } = makeBench();
    const first = attempt(body);
    client.say('x');
    first.source.abort();
    await clock.advance(10 * STALL_MS);
    const { taker } = attempt(body);
    expect(taker).toMatchObject({ text: 'x', error: undefined });
    await clock.advance(STALL_MS);
    expect(stalled(taker)).toBe(true);
  });

  it('is not blamed once all of it has come', async () => {
    const { client, body, clock } = makeBench();
    const { taker } = attempt(body);
    client.end();
    await clock.advance(10 * STALL_MS);
    expect(taker).toMatchObject({ error: undefined, ended: 1 });
  });
});

describe('the end of it', () => {
  it('T-19 a client that leaves fails the attempt that reads, and every later one', () => {
    const { client, body } = makeBench();
    const { taker } = attempt(body);
    const gone = new Gone();
    client.fail(gone);
    expect(taker.error).toBe(gone);
    expect(attempt(body).taker).toMatchObject({ error: gone, text: '', ended: 0 });
  });

  it.each([
    ['unread', () => {}],
    ['half read', (client: Client) => client.say('x')],
    ['read', (client: Client) => client.end()],
  ])('abandoned while %s: the client is let go, nothing is kept and no timer runs', (how, before) => {
    const bench = makeBench();
    if (how !== 'unread') attempt(bench.body);
    before(bench.client);
    bench.body.abandon();
    expect(bench.client.calls.at(-1)).toBe('abort');
    expect(bench.body.replayable).toBe(false);
    expect(bench.clock.pending()).toBe(0);
  });
});
