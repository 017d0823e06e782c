/** Real time: wall clock at the start, steady from there, so that a jump of the system clock moves no delay. */
import type { Clock } from '../pipeline/ports.ts';

/** Longest delay a Node timer takes. */
const MAX_TIMER_MS = 2_147_483_647;

export const realClock: Clock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  after: (ms, fn) => {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), MAX_TIMER_MS));
    return { cancel: () => clearTimeout(timer) };
  },
};
