/** What the operator hears of a lost Redis: the first loss, then at most a line a minute; and that it is back. */
import type { Clock } from '../pipeline/ports.ts';

/** While Redis is away: refuse everything, or go on with this process alone for requests without session. */
export type StoreLoss = 'refuse' | 'alone';

export interface Notices {
  onLost(reason: string): void;
  onBack(): void;
}

const QUIET_MS = 60_000;

const CONSEQUENCE: Readonly<Record<StoreLoss, string>> = {
  refuse: 'requests are answered 503 serverbusy until it is back',
  alone: 'requests without session go on with this process alone until it is back',
};

/** `shown` must not hold a password. */
export const makeNotices = (
  shown: string,
  loss: StoreLoss,
  clock: Clock,
  say: ((line: string) => void) | undefined,
): Notices => {
  let quietUntil = Number.NEGATIVE_INFINITY;
  let told = false;
  return {
    onLost: (reason) => {
      if (clock.now() < quietUntil) return;
      quietUntil = clock.now() + QUIET_MS;
      told = true;
      say?.(`store: Redis at ${shown} is away (${reason}): ${CONSEQUENCE[loss]}`);
    },
    onBack: () => {
      if (told) say?.(`store: Redis at ${shown} is back`);
      told = false;
    },
  };
};
