/** `npm run bench -- --admission`: CPU of letting a request in and out, by upstreams and websites, on memory and on Redis. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import type { AdmissionAnswer, AdmissionOrder } from './admission-client.ts';
import type { AdmissionFigure, AdmissionReport } from './admission-report.ts';
import { folder, forkRole, freePort, listening, type Running, start } from './children.ts';
import { which } from './peers/peer.ts';
import { usageOf } from './proc.ts';
import { machineText } from './report.ts';
import { spreadOf } from './stats.ts';

const UPSTREAMS = [10, 1_000, 10_000] as const;
const WEBSITES = [1, 1_000, 100_000] as const;

interface Pace {
  readonly rounds: number;
  readonly runMs: number;
  /** No further round begins after so long. */
  readonly untilMs: number;
}

const FULL: Pace = { rounds: 7, runMs: 700, untilMs: 165_000 };
const QUICK: Pace = { rounds: 3, runMs: 300, untilMs: 90_000 };

interface Size {
  readonly upstreams: number;
  readonly websites: number;
  readonly client: ChildProcess;
  readonly rounds: { own: number; beside: number }[];
}

const SIZES = UPSTREAMS.flatMap((upstreams) => WEBSITES.map((websites) => ({ upstreams, websites })));

const tell = async (client: ChildProcess, order: AdmissionOrder): Promise<number> => {
  const ended = new AbortController();
  const answer = Promise.race([
    once(client, 'message', { signal: ended.signal }),
    once(client, 'exit', { signal: ended.signal }).then(() => [
      { grants: 0, error: 'the process with the store died' },
    ]),
  ]);
  client.send(order);
  const [{ grants, error }] = (await answer) as [AdmissionAnswer];
  ended.abort();
  if (error !== undefined) throw new Error(`${order.type}: ${error}`);
  return grants;
};

/** Every size in a process of its own, all there from the start, so that rounds can go from size to size and around again. */
const prepare = async (storeOf: (index: number) => string): Promise<Size[]> => {
  const sizes = await Promise.all(
    SIZES.map(async ({ upstreams, websites }, index): Promise<Size> => {
      const client = forkRole('admission-client.ts');
      await tell(client, { type: 'open', store: storeOf(index), upstreams, websites });
      return { upstreams, websites, client, rounds: [] };
    }),
  );
  for (const { client } of sizes) await tell(client, { type: 'visit' });
  return sizes;
};

const measureRound = async ({ client, rounds }: Size, runMs: number, redis: Running | undefined): Promise<void> => {
  const cpu = (pid: number | undefined): number => (pid === undefined ? 0 : usageOf(pid).cpuUs);
  const before = [cpu(client.pid), cpu(redis?.pid)] as const;
  const grants = await tell(client, { type: 'run', ms: runMs });
  const [own, beside] = [cpu(client.pid) - before[0], cpu(redis?.pid) - before[1]];
  rounds.push({ own: own / grants, beside: beside / grants });
};

const measureStore = async (
  store: AdmissionFigure['store'],
  storeOf: (index: number) => string,
  redis: Running | undefined,
  pace: Pace,
  until: number,
): Promise<AdmissionFigure[]> => {
  const sizes = await prepare(storeOf);
  for (let round = 0; round <= pace.rounds; round++) {
    for (const size of sizes) {
      if (Date.now() < until || size.rounds.length === 0) await measureRound(size, pace.runMs, redis);
      // The first round warms up.
      if (round === 0 && pace.rounds > 1) size.rounds.length = 0;
    }
  }
  for (const { client } of sizes) client.disconnect();
  return sizes.map(({ upstreams, websites, rounds }) => ({
    store,
    upstreams,
    websites,
    own: spreadOf(rounds.map(({ own }) => own)),
    beside: spreadOf(rounds.map(({ beside }) => beside)),
    whole: spreadOf(rounds.map(({ own, beside }) => own + beside)),
    rounds: rounds.length,
  }));
};

const measureRedis = async (pace: Pace, until: number): Promise<AdmissionFigure[]> => {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const redis = await start('redis-server', args);
  await listening(redis, port);
  try {
    // A database each: none sees the keys of another.
    return await measureStore('Redis', (index) => `redis://127.0.0.1:${port}/${index}`, redis, pace, until);
  } finally {
    await redis.stop(2_000);
  }
};

/** Ends within three minutes on a machine of two cores. */
export const measureAdmission = async (quick: boolean): Promise<AdmissionReport> => {
  const pace = quick ? QUICK : FULL;
  const loadBefore = loadavg()[0] ?? 0;
  const until = Date.now() + pace.untilMs;
  const redisAbsent = which('redis-server') === undefined ? 'redis-server is not installed' : undefined;
  const memory = await measureStore('memory', () => 'memory', undefined, pace, until);
  const redis = redisAbsent === undefined ? await measureRedis(pace, until) : [];
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: machineText(),
    node: process.version,
    loadBefore,
    runMs: pace.runMs,
    redisAbsent,
    figures: [...memory, ...redis],
  };
};
