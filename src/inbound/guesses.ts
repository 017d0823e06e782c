/** Slows down whoever guesses keys: after some wrong ones an address waits for each further answer (robustness C06). */
import { LRUCache } from 'lru-cache';

const FREE_GUESSES = 20;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;
export const PENALTY_MS = 1_000;

export interface Guesses {
  /** Counts a wrong key from an address; the milliseconds its answer has to wait. */
  wrong(remote: string): number;
}

export const makeGuesses = (now: () => number): Guesses => {
  const seen = new LRUCache<string, { count: number; since: number }>({ max: MAX_ADDRESSES });
  return {
    wrong(remote) {
      const at = now();
      const known = seen.get(remote);
      if (!known || at - known.since > WINDOW_MS) {
        seen.set(remote, { count: 1, since: at });
        return 0;
      }
      known.count++;
      return known.count > FREE_GUESSES ? PENALTY_MS : 0;
    },
  };
};
