import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gone } from '../../src/model/errors.ts';
import { type Peeked, peek } from '../../src/pipeline/peek.ts';
import type { BodySink, BodySource } from '../../src/pipeline/ports.ts';
import { makeStop } from '../../src/pipeline/stop.ts';
import type { OpenCase } from '../../src/policy/ban.ts';
import type { Coding } from '../../src/policy/ban-decode.ts';
import { makeFakeClock } from '../support/fake-clock.ts';

/** A body that is pushed by hand and holds to its contract: paused after `false`, nothing before `start`. */
const makeSource = () => {
  let sink: BodySink | undefined;
  const waiting: (Buffer | 'end' | Error)[] = [];
  const state = { paused: false, aborted: false, resumes: 0 };
  const flush = (): void => {
    while (sink && !state.paused && !state.aborted && waiting.length > 0) {
      const next = waiting.shift() as Buffer | 'end' | Error;
      if (next === 'end') sink.end();
      else if (next instanceof Error) sink.fail(next);
      else state.paused = !sink.write(next);
    }
  };
  const source: BodySource = {
    start(to) {
      sink = to;
      flush();
    },
    resume() {
      state.resumes++;
      state.paused = false;
      flush();
    },
    abort() {
      state.aborted = true;
    },
  };
  const push = (...items: (string | Buffer | Error)[]): void => {
    waiting.push(...items.map((item) => (item === 'end' || typeof item !== 'string' ? item : Buffer.from(item))));
    flush();
  };
  return { source, push, state };
};

/** Reads a body; `room` says when it has enough for now. */
const makeSink = (room: (size: number) => boolean = () => true) => {
  const got = { bytes: Buffer.alloc(0), ended: false, failed: undefined as Error | undefined, writes: 0 };
  const sink: BodySink = {
    write(chunk) {
      got.writes++;
      got.bytes = Buffer.concat([got.bytes, chunk]);
      return room(got.bytes.length);
    },
    end() {
      got.ended = true;
    },
    fail(error) {
      got.failed = error;
    },
  };
  return { sink, got };
};

const openCase = (reach: number, coding: Coding = 'identity'): OpenCase => ({
  reach,
  coding,
  judge: () => ({ ban: undefined, suspect: undefined }),
});

const begin = (reach: number, coding?: Coding) => {
  const made = makeSource();
  const clock = makeFakeClock();
  const stop = makeStop();
  const run = () => peek(made.source, openCase(reach, coding), clock, stop);
  return { ...made, clock, stop, run };
};

const now = (peeked: Peeked | Promise<Peeked>): Peeked => {
  if (peeked instanceof Promise) throw new Error('not decided yet');
  return peeked;
};

describe('A-08 looking at the start of a body', () => {
  it('decides at once when the whole body is there', () => {
    const { push, run, clock } = begin(100);
    push('all of it', 'end');
    const { start, body } = now(run());
    expect(start?.toString()).toBe('all of it');
    expect(clock.pending()).toBe(0);
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got).toMatchObject({ ended: true, writes: 1 });
    expect(got.bytes.toString()).toBe('all of it');
  });

  it('waits for the end of a short body', async () => {
    const { push, run, clock } = begin(100);
    push('one ');
    const soon = run();
    expect(soon).toBeInstanceOf(Promise);
    push('two', 'end');
    expect((await soon).start?.toString()).toBe('one two');
    expect(clock.pending()).toBe(0);
  });

  it('A-11 lets a page go as soon as it is longer than any rule left looks at', () => {
    const { push, run, state } = begin(100);
    push('x'.repeat(101));
    const { start, body } = now(run());
    expect(start).toBeUndefined();
    expect(state.paused).toBe(true);
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got.bytes).toHaveLength(101);
    push('more');
    expect(got.bytes).toHaveLength(105);
    push('end');
    expect(got.ended).toBe(true);
  });

  it('shows the first 64 KiB when a rule looks at pages of any length, and holds no more', () => {
    const { push, run, state } = begin(65_536);
    push(Buffer.alloc(40_000, 'a'), Buffer.alloc(40_000, 'b'), Buffer.alloc(40_000, 'c'), 'end');
    const { start, body } = now(run());
    expect(start).toHaveLength(65_536);
    expect(state.paused).toBe(true);
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got.bytes).toHaveLength(120_000);
    expect(got.ended).toBe(true);
  });

  it('decides after 1.5 s with what is there', async () => {
    const { push, run, clock } = begin(1000);
    push('slow');
    const soon = run();
    await clock.advance(1_499);
    push('er');
    expect(clock.pending()).toBe(1);
    await clock.advance(1);
    const { start, body } = await soon;
    expect(start?.toString()).toBe('slower');
    const { sink, got } = makeSink();
    body.start(sink);
    push(' still', 'end');
    expect(got.bytes.toString()).toBe('slower still');
    expect(got.ended).toBe(true);
  });

  it('decides after 1.5 s about a body of which nothing came', async () => {
    const { run, clock, push } = begin(1000);
    const soon = run();
    await clock.advance(1_500);
    const { start, body } = await soon;
    expect(start).toHaveLength(0);
    const { sink, got } = makeSink();
    body.start(sink);
    push('late', 'end');
    expect(got).toMatchObject({ ended: true, bytes: Buffer.from('late') });
  });

  it('looks at a decoded copy and delivers the bytes as they came', () => {
    const packed = gzipSync('<p>a packed page</p>');
    const { push, run } = begin(100, 'gzip');
    push(packed, 'end');
    const { start, body } = now(run());
    expect(start?.toString()).toBe('<p>a packed page</p>');
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got.bytes.equals(packed)).toBe(true);
  });

  it('A-11 lets a packed page go once it is longer unpacked than any rule left looks at', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `<p>${i} ${(i * 7919) % 1013}</p>`).join('');
    const packed = gzipSync(lines);
    const { push, run } = begin(30_000, 'gzip');
    const parts = Array.from({ length: 40 }, (_, i) => packed.subarray(i * 2_000, (i + 1) * 2_000));
    for (const part of parts) push(part);
    const { start, body } = now(run());
    expect(start).toBeUndefined();
    const { sink, got } = makeSink();
    body.start(sink);
    push(packed.subarray(80_000), 'end');
    expect(got.bytes.equals(packed)).toBe(true);
  });

  it('robustness G06: a bomb is let go after its first piece', () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000));
    const { push, run } = begin(30_000, 'gzip');
    push(bomb.subarray(0, 8_000));
    expect(now(run()).start).toBeUndefined();
  });

  it('says nothing of a body in a broken coding, and delivers it', () => {
    const { push, run } = begin(65_536, 'gzip');
    push('not gzip at all', 'end');
    const { start, body } = now(run());
    expect(start).toBeUndefined();
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got.bytes.toString()).toBe('not gzip at all');
  });

  it('a body that breaks is judged by what came, and breaks in the same place for its reader', async () => {
    const { push, run } = begin(1000);
    push('half');
    const soon = run();
    const broken = new Error('reset');
    push(broken);
    const { start, body } = await soon;
    expect(start?.toString()).toBe('half');
    const { sink, got } = makeSink();
    body.start(sink);
    expect(got).toMatchObject({ failed: broken, ended: false, bytes: Buffer.from('half') });
  });

  it('T-19 ends at once when the client leaves, and gives the body up', async () => {
    const { push, run, stop, state, clock } = begin(1000);
    push('half');
    const soon = run();
    const gone = new Gone('client left');
    stop.press(gone);
    await expect(soon).rejects.toBe(gone);
    expect(state.aborted).toBe(true);
    expect(clock.pending()).toBe(0);
    push('late', 'end');
  });

  it('a body nobody wants any more is given up', () => {
    const { push, run, state } = begin(10);
    push('more than ten bytes');
    const { body } = now(run());
    body.abort();
    body.abort();
    expect(state.aborted).toBe(true);
  });
});

describe('A-11 delivering what was held back', () => {
  it('waits where the reader has no room, and goes on where it said', () => {
    const { push, run, state } = begin(65_536);
    push(Buffer.alloc(70_000, 'a'), 'more', 'end');
    const { body } = now(run());
    let room = false;
    const { sink, got } = makeSink(() => room);
    body.start(sink);
    expect(got.bytes).toHaveLength(70_000);
    expect(state.resumes).toBe(0);
    room = true;
    body.resume();
    expect(got.bytes).toHaveLength(70_004);
    expect(got.ended).toBe(true);
  });

  it('stops when the reader leaves in the middle', () => {
    const { push, run } = begin(10);
    push('more than ten bytes', 'end');
    const { body } = now(run());
    const got: string[] = [];
    body.start({
      write(chunk) {
        got.push(chunk.toString());
        body.abort();
        return true;
      },
      end: () => got.push('end'),
      fail: () => got.push('fail'),
    });
    expect(got).toEqual(['more than ten bytes']);
  });

  it('every byte arrives once and in order, whatever the pieces, the room and the moment of the decision', async () => {
    const piece = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    const scenario = fc.record({
      pieces: fc.array(piece, { maxLength: 20 }),
      reach: fc.integer({ min: 0, max: 400 }),
      before: fc.integer({ min: 0, max: 20 }),
      tight: fc.integer({ min: 1, max: 5 }),
      breaks: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ pieces, reach, before, tight, breaks }) => {
        const { push, run, clock } = begin(reach);
        push(...pieces.slice(0, before));
        const soon = run();
        push(...pieces.slice(before));
        if (soon instanceof Promise) await clock.advance(1_500);
        const { body } = await soon;
        let writes = 0;
        const { sink, got } = makeSink(() => ++writes % tight !== 0);
        body.start(sink);
        push(breaks ? new Error('cut') : 'end');
        for (let i = 0; i < 100 && !got.ended && !got.failed; i++) body.resume();
        expect(got.bytes.equals(Buffer.concat(pieces))).toBe(true);
        expect([got.ended, got.failed !== undefined]).toEqual([!breaks, breaks]);
      }),
      { numRuns: 200 },
    );
  });
});
