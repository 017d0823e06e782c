/** The movable deadline: never early, never late, one timer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deadline } from '../../src/outbound/deadline.ts';
import { makeFakeClock } from './fake-clock.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), ms: fc.integer({ min: 1, max: 500 }) }),
  fc.record({ kind: fc.constant('lift' as const), ms: fc.constant(0) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 300 }) }),
);

/** A deadline beside the simplest thing that could be right. */
const makePair = () => {
  const clock = makeFakeClock();
  const fired: number[] = [];
  const expected: number[] = [];
  let due = Number.POSITIVE_INFINITY;
  const deadline = new Deadline(clock, clock.now, () => fired.push(clock.now()));
  const moves = {
    set(ms: number) {
      due = clock.now() + ms;
      deadline.in(ms);
    },
    lift() {
      due = Number.POSITIVE_INFINITY;
      deadline.lift();
    },
    wait(ms: number) {
      clock.advance(ms);
      if (due > clock.now()) return;
      expected.push(due);
      due = Number.POSITIVE_INFINITY;
    },
  };
  return { clock, fired, expected, deadline, moves };
};

describe('a deadline', () => {
  it('fires once, at the time it was last moved to, with at most one timer', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { clock, fired, expected, deadline, moves } = makePair();
        for (const { kind, ms } of steps) {
          moves[kind](ms);
          expect(clock.pending()).toBeLessThanOrEqual(1);
        }
        expect(fired).toEqual(expected);
        deadline.close();
        expect(clock.pending()).toBe(0);
      }),
    );
  });
});
