/** What a session id looks like and when a session's life is over; the same for every store. */

const LEAST_ID = 1_000_000;
const ID_RANGE = 1_000_000_000_000_000 - LEAST_ID;

/** A random id of 7 to 15 digits without leading zero (S-02). `random` is uniform in [0, 1). */
export const newSessionId = (random: () => number): string => String(LEAST_ID + Math.floor(random() * ID_RANGE));

const LONGEST_ID = 15;
const SHORTEST_ID = 7;

/** Whether a client's text can be an id at all; anything else is answered like an unknown one (S-09). */
export const looksLikeId = (text: string): boolean => {
  if (text.length < SHORTEST_ID || text.length > LONGEST_ID) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return text.charCodeAt(0) !== 48;
};

/** The number that picks a session's one browser identity (S-21): fixed for its life because the id is. */
export const seedOf = (id: string): number => Number(id);

/** S-11: the idle life slides with every use and never ends while a request runs. */
export const isOver = (lastUseMs: number, running: number, idleMs: number, nowMs: number): boolean =>
  running === 0 && lastUseMs + idleMs <= nowMs;
