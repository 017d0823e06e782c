/** The load client, in a process of its own: a fixed number of connections, one request at a time on each. */
import { performance } from 'node:perf_hooks';
import { type Connection, connectThrough } from './connection.ts';
import { BODY_BYTES, pageOf } from './payload.ts';
import type { FromClient, LoadPlan, LoadResult, ToClient } from './protocol.ts';

const MAX_SAMPLES = 1_000_000;
const MAX_ERRORS = 50;

const samples = new Float64Array(MAX_SAMPLES);
let connections: Connection[] = [];
let plan: LoadPlan | undefined;

const percentile = (sorted: Float64Array, share: number): number =>
  sorted.length === 0 ? 0 : (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);

/** Keeps every connection busy until the time or the count is used up and the last answer is in. */
const drive = (ms: number, maxRequests: number): Promise<LoadResult> =>
  new Promise((resolve) => {
    const begun = performance.now();
    const until = begun + ms;
    let sent = 0;
    let requests = 0;
    let errors = 0;
    let firstError: string | undefined;
    let busy = connections.length;

    const settle = (): void => {
      busy--;
      if (busy > 0) return;
      const sorted = samples.subarray(0, Math.min(requests, MAX_SAMPLES)).slice().sort();
      resolve({
        requests,
        errors,
        firstError,
        elapsedMs: performance.now() - begun,
        p50Ms: percentile(sorted, 0.5),
        p99Ms: percentile(sorted, 0.99),
      });
    };

    const next = (connection: Connection): void => {
      if (sent >= maxRequests || errors >= MAX_ERRORS || performance.now() >= until) {
        settle();
        return;
      }
      sent++;
      const at = performance.now();
      connection.request((error) => {
        if (error === undefined) {
          if (requests < MAX_SAMPLES) samples[requests] = performance.now() - at;
          requests++;
        } else {
          errors++;
          firstError ??= error;
        }
        next(connection);
      });
    };
    for (const connection of connections) next(connection);
  });

const open = async (wanted: LoadPlan, warmMs: number): Promise<void> => {
  plan = wanted;
  const page = pageOf(BODY_BYTES[plan.body]);
  connections = Array.from({ length: plan.connections }, () => connectThrough(wanted, page));
  const warm = await drive(warmMs, Number.POSITIVE_INFINITY);
  if (warm.errors > 0) throw new Error(`${warm.errors} errors while warming up, the first: ${warm.firstError}`);
  if (warm.requests < plan.connections) throw new Error('no answers while warming up');
};

const close = (): void => {
  for (const connection of connections) connection.close();
  connections = [];
};

const tell = (message: FromClient): void => void process.send?.(message);

const obey = async (message: ToClient): Promise<void> => {
  if (message.type === 'open') {
    await open(message.plan, message.warmMs);
    tell({ type: 'ready' });
  } else if (message.type === 'run') {
    tell({ type: 'result', ...(await drive(message.ms, message.maxRequests)) });
  } else {
    close();
  }
};

process.on('message', (message: ToClient) => {
  obey(message).catch((error: Error) => {
    close();
    tell({ type: 'failed', why: error.message });
  });
});
process.once('disconnect', () => process.exit(0));
