/** The thread of `redis-inside.ts`: serves until it is terminated and tells its port. */
import { parentPort } from 'node:worker_threads';
import {
  createRedisCommandExecutor,
  RedisServerState,
  Resp2Server,
  redisCommandDefinitions,
} from 'js-redis-server/core';

// Real servers allow this one in scripts.
for (const command of redisCommandDefinitions) {
  if (command.name === 'hrandfield') Object.assign(command, { flags: ['readonly', 'random'] });
}

const server = new Resp2Server({
  server: new RedisServerState({ databaseCount: 16 }),
  executor: createRedisCommandExecutor(),
});
await server.listen(0);
parentPort?.postMessage(server.getPort());
