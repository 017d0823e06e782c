/** A real redis-server in a folder of its own, when this machine has one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const PROGRAM = process.env['REDIS_SERVER_BIN'] ?? 'redis-server';

/** Whether real servers can be started here. */
export const hasRedis = spawnSync(PROGRAM, ['--version']).status === 0;

if (!hasRedis) {
  process.stderr.write(`${PROGRAM} cannot be started: tests of the Redis store DO NOT RUN (see REDIS_SERVER_BIN)\n`);
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly process: ChildProcess;
  /** Kills it at once; data is lost. */
  stop(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

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

export const startRedis = async (options: readonly string[] = []): Promise<RedisServer> => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-redis-'));
  const port = await freePort();
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
    startRedis([
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(await freePort()),
      '--cluster-node-timeout',
      '2000',
    ]);
  const nodes = await Promise.all([start(), start(), start()]);
  const first = nodes[0] as RedisServer;
  for (const [i, node] of nodes.entries()) {
    const from = Math.floor((SLOTS * i) / nodes.length);
    const to = Math.floor((SLOTS * (i + 1)) / nodes.length) - 1;
    await ask(node, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    const busPort = /@(\d+)/.exec(await ask(node, 'CLUSTER', 'NODES'))?.[1] as string;
    if (node !== first) await ask(first, 'CLUSTER', 'MEET', '127.0.0.1', String(node.port), busPort);
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
