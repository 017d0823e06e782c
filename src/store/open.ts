/** Opens the store that the configuration names. */
import { join } from 'node:path';
import type { Store } from '../pipeline/store-port.ts';
import { type MemoryOptions, openMemoryStore } from './memory.ts';

/** The memory store's file in the data folder. */
const SNAPSHOT = 'state.json';

export interface OpenOptions extends Omit<MemoryOptions, 'file'> {
  /** `memory`, or a Redis URL. */
  readonly location: string;
  /** The folder of `data`; without one nothing outlives the process. */
  readonly data?: string | undefined;
}

/** Throws for a location no store answers to. */
export const openStore = (options: OpenOptions): Store => {
  if (options.location === 'memory')
    return openMemoryStore({ ...options, file: options.data && join(options.data, SNAPSHOT) });
  throw new Error('store: only "memory" is available');
};
