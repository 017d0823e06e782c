/** How many streams of one HTTP/2 connection may end by a reset, so that opening and resetting them is no attack (robustness F02). */
import { constants } from 'node:http2';

/** A person who leaves a page with hundreds of images resets them all at once. Below nghttp2's 1000, from which on it merely ignores. */
const BURST = 900;
const PER_SECOND = 33;

/** Codes of an end that is nobody's fault but ours or the website's. */
const INNOCENT: ReadonlySet<number> = new Set([constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_INTERNAL_ERROR]);

export interface ResetBudget {
  /** False when a stream that ended with this code was one too many. */
  spend(code: number): boolean;
}

/**
 * Counted are the resets a client sends, and those it makes us send by breaking the rules of its own streams.
 * `now` in milliseconds.
 */
export const makeResetBudget = (now: () => number): ResetBudget => {
  let spent = 0;
  let at = now();
  return {
    spend(code) {
      if (INNOCENT.has(code)) return true;
      const since = now();
      spent = Math.max(0, spent - ((since - at) * PER_SECOND) / 1_000) + 1;
      at = since;
      return spent <= BURST;
    },
  };
};
