/** A Redis in this process, for machines without the program: JavaScript over real RESP, one node, Lua in WebAssembly. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Redis } from 'ioredis';
import type { RedisPlace } from './redis.ts';

/** In a thread of its own, as a script in WebAssembly would hold up the store that waits for it. */
export const startRedisInside = async (): Promise<RedisPlace> => {
  const worker = new Worker(new URL('./redis-inside-thread.mjs', import.meta.url));
  const [port] = (await once(worker, 'message')) as [number];
  // The first script loads the interpreter, which takes longer than the store waits for an answer on a busy machine.
  const client = new Redis(port, '127.0.0.1');
  await client.eval('return 1', 0);
  client.disconnect();
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    stop: async () => {
      await worker.terminate();
    },
  };
};
