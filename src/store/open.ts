/** Opens the store that the configuration names. */
import { join } from 'node:path';
import type { Store } from '../pipeline/store-port.ts';
import { type MemoryOptions, openMemoryStore } from './memory.ts';
import { makeNotices, type Notices, type StoreLoss } from './redis-notices.ts';
import { openRedisStore } from './redis-open.ts';
import { readRedisUrl } from './redis-url.ts';

/** The memory store's files in the data folder. */
const SNAPSHOT = 'state.json';
const COOKIES = 'cookies.json';

export interface OpenOptions extends Omit<MemoryOptions, 'file' | 'cookieFile'> {
  /** `memory`, or a Redis URL. */
  readonly location: string;
  /** The folder of `data`; without one nothing outlives the process. */
  readonly data?: string | undefined;
  /** What to do while Redis is away (`storeLoss`). */
  readonly loss?: StoreLoss;
  /** Told, maybe repeatedly, that Redis is away or back. */
  readonly away?: ((away: boolean) => void) | undefined;
}

/** Throws for a location no store answers to. A Redis that is away is no error: it may come. */
export const openStore = (options: OpenOptions): Store => {
  const { location, data, loss = 'refuse', random, pool, settings, clock, report } = options;
  const redis = readRedisUrl(location);
  if (!redis) {
    const files = data === undefined ? {} : { file: join(data, SNAPSHOT), cookieFile: join(data, COOKIES) };
    return openMemoryStore({ ...options, ...files });
  }
  const { onLost, onBack } = makeNotices(redis.shown, loss, clock, report);
  const notices: Notices = {
    onLost(reason) {
      onLost(reason);
      options.away?.(true);
    },
    onBack() {
      onBack();
      options.away?.(false);
    },
  };
  const alone = loss === 'alone' ? openMemoryStore(options) : undefined;
  return openRedisStore({ location: redis, random, pool, settings, alone, ...notices });
};
