/** A real redis-server in a folder of its own, when this machine has one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedisInside } from './redis-inside.ts';

const PROGRAM = process.env['REDIS_SERVER_BIN'] ?? 'redis-server';

const isForced = process.env['CRAWLGATE_TEST_REDIS'] === 'in-process';

/** Whether real servers can be started here. */
export const hasRedis = !isForced && spawnSync(PROGRAM, ['--version']).status === 0;

/** Whether those speak TLS: one that does ends at once, as it misses its certificate. */
export const hasRedisTls =
  hasRedis &&
  spawnSync(PROGRAM, ['--port', '0', '--tls-port', '1'], { encoding: 'utf8', timeout: 5_000 }).stdout.includes(
    'Failed to configure TLS',
  );

if (!hasRedis) {
  const why = isForced ? 'CRAWLGATE_TEST_REDIS=in-process' : `${PROGRAM} cannot be started (see REDIS_SERVER_BIN)`;
  process.stderr.write(
    `${why}: tests that one Redis node is enough for run on one made of JavaScript; ` +
      'those with clusters, restarts, TLS, large pools or running programs DO NOT RUN\n',
  );
}

/** One node, whatever it is made of. */
export interface RedisPlace {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

export interface RedisServer extends RedisPlace {
  readonly port: number;
  readonly url: string;
  readonly process: ChildProcess;
  /** Kills it at once; data is lost. */
  stop(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
}

/** The port itself when it is free; any free one for 0. */
const tryPort = (wanted: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export const freePort = (): Promise<number> => tryPort(0);

/** The nodes of a cluster talk to each other so far above their port; only Redis 7 can be told otherwise. */
const BUS = 10_000;

/** A port of which the one for the cluster's nodes is free as well. */
const freeNodePort = async (): Promise<number> => {
  for (;;) {
    const port = await freePort();
    const isFree = (bus: number): Promise<boolean> =>
      tryPort(bus).then(
        () => true,
        () => false,
      );
    if (port + BUS < 65_536 && (await isFree(port + BUS))) return port;
  }
};

const launch = (folder: string, port: number, options: readonly string[]): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    const child = spawn(PROGRAM, [...fixed, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
    child.stdout?.on('data', (text: Buffer) => {
      if (text.includes('Ready to accept connections')) resolve(child);
    });
  });

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });

export const startRedis = async (options: readonly string[] = [], givenPort?: number): Promise<RedisServer> => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-redis-'));
  const port = givenPort ?? (await freePort());
  let child = await launch(folder, port, options);
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended(child);
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    get process() {
      return child;
    },
    stop: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
    restart: async () => {
      await stop();
      child = await launch(folder, port, options);
    },
  };
};

/** The program, or what stands in for it. */
export const startNode = (): Promise<RedisPlace> => (hasRedis ? startRedis() : startRedisInside());

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly url: string;
  stop(): Promise<void>;
}

const SLOTS = 16_384;

const ask = async (server: RedisServer, ...words: [string, ...string[]]): Promise<string> => {
  const client = new Redis(server.port, '127.0.0.1');
  try {
    return String(await client.call(...words));
  } finally {
    client.disconnect();
  }
};

/** Three nodes that share the slots, without replicas. */
export const startRedisCluster = async (): Promise<RedisCluster> => {
  const start = async (): Promise<RedisServer> =>
    startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'], await freeNodePort());
  const nodes = await Promise.all([start(), start(), start()]);
  const first = nodes[0] as RedisServer;
  for (const [i, node] of nodes.entries()) {
    const from = Math.floor((SLOTS * i) / nodes.length);
    const to = Math.floor((SLOTS * (i + 1)) / nodes.length) - 1;
    const slots = Array.from({ length: to - from + 1 }, (_, k) => String(from + k));
    await ask(node, 'CLUSTER', 'ADDSLOTS', ...slots);
    if (node !== first) await ask(first, 'CLUSTER', 'MEET', '127.0.0.1', String(node.port));
  }
  const isWhole = async (node: RedisServer): Promise<boolean> => {
    const info = await ask(node, 'CLUSTER', 'INFO');
    return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
  };
  while (!(await Promise.all(nodes.map(isWhole))).every(Boolean))
    await new Promise((resolve) => setTimeout(resolve, 50));
  return {
    nodes,
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
};
