/** Opens the store on Redis. */
import type { Pool, Random } from '../pipeline/ports.ts';
import type { Store, StoreSettings } from '../pipeline/store-port.ts';
import { openWire } from './redis.ts';
import { makeAloneStore } from './redis-alone.ts';
import { makeCluster } from './redis-cluster.ts';
import { makeCommon } from './redis-common.ts';
import { makeDesk } from './redis-desk.ts';
import { openLink } from './redis-link.ts';
import { ANSWER_MS } from './redis-questions.ts';
import { makeSingle } from './redis-single.ts';
import { makeSteps } from './redis-steps.ts';
import type { RedisLocation } from './redis-url.ts';

export interface RedisOptions {
  readonly location: RedisLocation;
  readonly random: Random;
  readonly pool: () => Pool;
  readonly settings: () => StoreSettings;
  /** Milliseconds, instead of Redis' own clock; for tests. */
  readonly time?: (() => number) | undefined;
  /** Serves requests without session while Redis is away; without one they are refused. */
  readonly alone?: Store | undefined;
  /** Only tests are that patient. */
  readonly answerMs?: number;
  readonly onLost?: (reason: string) => void;
  readonly onBack?: () => void;
}

export const openRedisStore = (options: RedisOptions): Store => {
  const { location, random, pool, settings, time } = options;
  const desk = makeDesk({ cluster: location.cluster, pool, settings, time });
  const link = openLink({
    open: (events) => openWire(location, events),
    greet: desk.greet,
    answerMs: options.answerMs ?? ANSWER_MS,
    onLost: (reason) => options.onLost?.(reason),
    onBack: () => options.onBack?.(),
  });
  desk.start(link);
  const steps = makeSteps({ desk, random, settings, cluster: location.cluster });
  const common = makeCommon(steps);
  const whole: Store = {
    ...common,
    opened: link.settled,
    ...(location.cluster ? makeCluster(steps) : makeSingle(steps)),
    close: async () => {
      await common.close();
      link.close();
    },
  };
  return options.alone ? makeAloneStore(whole, link.isAway, options.alone) : whole;
};
