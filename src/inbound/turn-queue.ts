/** Spreads bursts of synchronous work over turns of the event loop, so that everything else goes on meanwhile. */

/** After this many milliseconds of queued work the event loop gets its turn. */
const TURN_MS = 5;
const MAX_WAITING = 10_000;

type Work = () => void;

/** A queue in order of arrival. It takes a piece of work, or answers false when 10,000 pieces wait already. */
export const makeTurnQueue = (maxWaiting = MAX_WAITING): ((work: Work) => boolean) => {
  let waiting: Work[] = [];
  let next = 0;
  let running = false;
  let until = 0;

  const turn = (): void => {
    until = performance.now() + TURN_MS;
    step();
  };

  /** What a piece of work left for the next tick, such as reading a ClientHello, is done before the step after it. */
  const step = (): void => {
    if (next === waiting.length) {
      waiting = [];
      next = 0;
      running = false;
      return;
    }
    if (performance.now() >= until) {
      tidy();
      setImmediate(turn);
      return;
    }
    try {
      (waiting[next++] as Work)();
    } finally {
      process.nextTick(step);
    }
  };

  /** Forgets what is done once it is the larger part: the list stays short under load that never pauses. */
  const tidy = (): void => {
    if (next * 2 < waiting.length) return;
    waiting = waiting.slice(next);
    next = 0;
  };

  return (work) => {
    if (waiting.length - next >= maxWaiting) return false;
    waiting.push(work);
    if (!running) setImmediate(turn);
    running = true;
    return true;
  };
};
