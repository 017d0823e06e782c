/** Opens the store that the configuration names. */
import type { Store } from '../pipeline/store-port.ts';
import { type MemoryOptions, openMemoryStore } from './memory.ts';

export interface OpenOptions extends MemoryOptions {
  /** `memory`, or a Redis URL. */
  readonly location: string;
}

/** Throws for a location no store answers to. */
export const openStore = (options: OpenOptions): Store => {
  if (options.location === 'memory') return openMemoryStore(options);
  throw new Error('store: only "memory" is available');
};
