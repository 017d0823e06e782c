/** `workers: N`: one primary that listens to signals, N processes that share the port, and no dead one for long. */
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import type { Log } from '../observe/log.ts';

/** Environment of a worker: TLS tickets of one worker must be readable by the others (T-07). */
const TICKET_KEYS = 'CRAWLGATE_TICKET_KEYS';

export const isWorker = (): boolean => cluster.isWorker;

/** Keys the primary gave this worker; `undefined` in a process on its own. */
export const sharedTicketKeys = (env: NodeJS.ProcessEnv): Buffer | undefined => {
  const hex = env[TICKET_KEYS];
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
};

/** A worker that dies sooner than this is not started again at once. */
const QUICK_DEATH_MS = 5_000;
const PAUSE_MS = 1_000;

export interface WorkerHouse {
  readonly count: number;
  /** How many ports each of them binds. */
  readonly listeners: number;
  readonly log: Log;
  /** Every worker listens now, for the first time. */
  onReady(): void;
}

/** What the workers are doing together. */
interface Crew extends WorkerHouse {
  readonly env: Record<string, string>;
  /** How many began to listen so far. */
  listening: number;
  stopping: boolean;
  status: number;
  done(status: number): void;
}

const workers = (): Worker[] => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);

const signalAll = (signal: NodeJS.Signals): void => {
  for (const worker of workers()) worker.process.kill(signal);
};

const start = (crew: Crew): void => {
  if (crew.stopping) return;
  const startedAt = Date.now();
  const worker = cluster.fork(crew.env);
  let unbound = crew.listeners;
  worker.on('listening', () => {
    if (--unbound === 0 && ++crew.listening === crew.count) crew.onReady();
  });
  worker.once('exit', (code, signal) => {
    if (!crew.stopping && crew.listening < crew.count) giveUp(crew, code);
    else if (!crew.stopping) replace(crew, `${worker.process.pid} ended (${signal ?? code})`, Date.now() - startedAt);
    // One that was just starting is ended by the signal itself.
    else if (code) crew.status = 1;
    if (crew.stopping && workers().length === 0) crew.done(crew.status);
  });
};

/** One of the first could not start. It has said why on standard error; the others would fail alike. */
const giveUp = (crew: Crew, code: number | null): void => {
  crew.stopping = true;
  crew.status = code || 1;
  signalAll('SIGTERM');
};

const replace = (crew: Crew, what: string, livedMs: number): void => {
  crew.log.error(`worker ${what}; another one takes its place`);
  setTimeout(() => start(crew), livedMs < QUICK_DEATH_MS ? PAUSE_MS : 0);
};

/** Resolves to the exit status once every worker has ended after SIGTERM or SIGINT, or when the first ones cannot start. */
export const runWorkers = (house: WorkerHouse): Promise<number> =>
  new Promise((done) => {
    const env = { [TICKET_KEYS]: randomBytes(48).toString('hex') };
    const crew: Crew = { ...house, env, listening: 0, stopping: false, status: 0, done };
    // A second signal does not wait for the drain.
    const stop = (signal: NodeJS.Signals): void => {
      if (crew.stopping) crew.status = 1;
      signalAll(crew.stopping ? 'SIGKILL' : signal);
      crew.stopping = true;
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => signalAll('SIGHUP'));
    for (let i = 0; i < house.count; i++) start(crew);
  });
