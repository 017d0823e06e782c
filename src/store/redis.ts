/** The connection to Redis: a thin layer over ioredis that sends scripts and tells when it is there. Home of ioredis. */
import { Cluster, Redis } from 'ioredis';
import { readScripts, type ScriptName } from './redis-scripts.ts';
import type { RedisLocation } from './redis-url.ts';

/** A Redis, or a cluster of them, as the store uses it. */
export interface Wire {
  /** Sends one script. Rejects at once while there is no connection; nothing is sent twice. */
  run(script: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Lets go of the connection and makes a new one, as after a failover. */
  reconnect(): void;
  close(): void;
}

export interface WireEvents {
  /** Commands are taken from now on. */
  ready(): void;
  /** What was sent and not answered is lost. */
  lost(reason: string): void;
}

const CONNECT_MS = 2_000;
const KEEP_ALIVE_MS = 5_000;
const RETRY_MAX_MS = 1_000;

const retryIn = (times: number): number =>
  Math.min(50 * 2 ** Math.min(times, 6), RETRY_MAX_MS) * (0.75 + Math.random() / 4);

const optionsOf = (location: RedisLocation) => ({
  ...(location.username === undefined ? {} : { username: location.username }),
  ...(location.password === undefined ? {} : { password: location.password }),
  ...(location.tls ? { tls: {} } : {}),
  db: location.db,
  connectTimeout: CONNECT_MS,
  keepAlive: KEEP_ALIVE_MS,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: retryIn,
  disableClientInfo: true,
});

const connect = (location: RedisLocation): Redis | Cluster => {
  const options = optionsOf(location);
  const [first] = location.nodes;
  if (!location.cluster) return new Redis({ ...options, host: first?.host ?? '', port: first?.port ?? 0 });
  return new Cluster([...location.nodes], {
    redisOptions: options,
    enableOfflineQueue: false,
    clusterRetryStrategy: retryIn,
    slotsRefreshTimeout: CONNECT_MS,
    retryDelayOnFailover: 20,
    retryDelayOnClusterDown: 20,
    retryDelayOnTryAgain: 20,
    maxRedirections: 4,
  });
};

/** Lets what is sent in one turn of the event loop leave in one write: a write of its own costs more than its script. */
const makeGather = (client: Redis): (() => void) => {
  let held: Redis['stream'] | undefined;
  return () => {
    const { stream } = client;
    if (held === stream || !stream?.writable) return;
    held = stream;
    stream.cork();
    setImmediate(() => {
      held = undefined;
      stream.uncork();
    });
  };
};

export const openWire = (location: RedisLocation, events: WireEvents): Wire => {
  const client = connect(location);
  for (const [name, lua] of readScripts()) client.defineCommand(`cg_${name}`, { lua });
  const commands = client as unknown as Record<string, (...parts: unknown[]) => Promise<unknown>>;
  const gather = client instanceof Redis ? makeGather(client) : () => undefined;
  let reason = 'connection closed';
  client.on('ready', () => events.ready());
  client.on('close', () => events.lost(reason));
  client.on('error', (error: Error) => {
    reason = error.message;
  });
  return {
    run: (script, keys, args) => {
      gather();
      return (commands[`cg_${script}`] as (...parts: unknown[]) => Promise<unknown>)(keys.length, ...keys, ...args);
    },
    reconnect: () => client.disconnect(true),
    close: () => client.disconnect(),
  };
};
