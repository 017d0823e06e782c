/** A clock that stands still until it is told to go on. */
import type { Clock } from '../../src/pipeline/ports.ts';

export interface FakeClock extends Clock {
  /** Moves time on and runs what became due, in order. */
  advance(ms: number): void;
  /** Timers set and not yet run. */
  pending(): number;
}

export const makeFakeClock = (start = 1_000): FakeClock => {
  let now = start;
  const timers = new Set<{ at: number; fn: () => void }>();
  const due = (limit: number): { at: number; fn: () => void } | undefined =>
    [...timers].filter(({ at }) => at <= limit).sort((a, b) => a.at - b.at)[0];
  return {
    now: () => now,
    after(ms, fn) {
      const timer = { at: now + ms, fn };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    advance(ms) {
      const limit = now + ms;
      for (let next = due(limit); next; next = due(limit)) {
        timers.delete(next);
        now = next.at;
        next.fn();
      }
      now = limit;
    },
    pending: () => timers.size,
  };
};
