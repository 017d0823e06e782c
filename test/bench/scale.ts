/** `npm run bench -- --scale`: memory with many hosts, tunnels and held requests, the event loop under new hosts, a slow client. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { folder, forkRole, type Running } from './children.ts';
import { crawlgateAt } from './peers/crawlgate.ts';
import { usageOf } from './proc.ts';
import { MANY_HOSTS } from './protocol.ts';
import { machineText, table } from './report.ts';
import type { ScaleAnswer, ScaleOrder } from './scale-client.ts';
import { type BenchStage, setStage } from './stage.ts';

const MB = 1_048_576;
const HELD_HOST = `held.${MANY_HOSTS}`;
/** No more than a few are let go while the others are counted. */
const HELD_DELAY = '150ms';
const ORDER_MS = 300_000;
/** Connections kept for hosts nobody asks for any more are closed within this time. */
const PARTING_MS = 20_000;
/** Buffers and timers of finished work are given back within this time. */
const REST_MS = 4000;

/** Loaded into the proxy: on SIGUSR2 it writes the longest delays of its event loop (ms) since the last time, and collects garbage. */
const PROBE = (file: string): string => `
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { writeFileSync } from 'node:fs';
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGUSR2', () => {
  const figures = { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 };
  delay.reset();
  globalThis.gc?.();
  writeFileSync(${JSON.stringify(file)}, JSON.stringify(figures));
});
`;

interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const ask = (client: ChildProcess, order: ScaleOrder): Promise<ScaleAnswer> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${order.type}: no answer`)), ORDER_MS);
    client.once('message', (answer) => {
      clearTimeout(timer);
      resolve(answer as ScaleAnswer);
    });
    client.send(order);
  });

type Row = readonly [what: string, goal: string, measured: string, fine: boolean];

interface Bench {
  readonly client: ChildProcess;
  rss(): number;
  /** Delays of the event loop since the last call; collects garbage too. */
  delays(): Promise<Delays>;
}

const must = (what: string, answer: ScaleAnswer): ScaleAnswer => {
  if (answer.failed > 0) throw new Error(`${what}: ${answer.failed} failed, the first: ${answer.firstError}`);
  return answer;
};

const rested = async (bench: Bench, restMs = REST_MS): Promise<number> => {
  await sleep(restMs);
  await bench.delays();
  await sleep(500);
  return bench.rss();
};

const newHosts = async (bench: Bench): Promise<Row[]> => {
  await bench.delays();
  const order: ScaleOrder = { type: 'tunnels', first: 0, count: 1000, atOnce: 1000, request: true, keep: false };
  const { tookMs } = must('new hosts', await ask(bench.client, order));
  const { p99, max } = await bench.delays();
  return [
    [
      '1,000 new hosts at once: event loop delay p99',
      'under 50 ms',
      `${p99.toFixed(1)} ms (longest ${max.toFixed(0)}, all answered in ${(tookMs / 1000).toFixed(1)} s)`,
      p99 < 50,
    ],
  ];
};

const visitedHosts = async (bench: Bench): Promise<Row[]> => {
  const base = await rested(bench);
  const order: ScaleOrder = { type: 'tunnels', first: 10_000, count: 10_000, atOnce: 32, request: true, keep: false };
  must('hosts', await ask(bench.client, order));
  const grown = ((await rested(bench, PARTING_MS)) - base) / MB;
  return [['10,000 hosts visited, 20 s later: memory above base', 'under 60 MB', `${grown.toFixed(0)} MB`, grown < 60]];
};

const idleTunnels = async (bench: Bench, count: number): Promise<Row[]> => {
  const base = await rested(bench);
  const order: ScaleOrder = { type: 'tunnels', first: 10_000, count, atOnce: 32, request: false, keep: true };
  must('tunnels', await ask(bench.client, order));
  const each = ((await rested(bench)) - base) / count / 1024;
  await ask(bench.client, { type: 'drop' });
  return [[`${count} idle tunnels: memory above base, each`, 'under 30 KB', `${each.toFixed(1)} KB`, each < 30]];
};

const heldRequests = async (bench: Bench, count: number): Promise<Row[]> => {
  const base = await rested(bench);
  must('held', await ask(bench.client, { type: 'hold', count, host: HELD_HOST }));
  const each = ((await rested(bench)) - base) / count / 1024;
  const { done } = await ask(bench.client, { type: 'drop' });
  if (done < count * 0.9) throw new Error(`only ${done} of ${count} requests were still held`);
  return [[`${count} held requests: memory above base, each`, 'under 20 KB', `${each.toFixed(1)} KB`, each < 20]];
};

const slowClient = async (bench: Bench, seconds: number): Promise<Row[]> => {
  const base = await rested(bench);
  const reading = ask(bench.client, { type: 'slow', bytesPerSecond: MB, seconds });
  let most = 0;
  for (let second = 0; second < seconds - 1; second++) {
    await sleep(1000);
    most = Math.max(most, bench.rss());
  }
  const { done, tookMs } = await reading;
  await ask(bench.client, { type: 'drop' });
  const grown = (most - base) / MB;
  const rate = `${(done / MB).toFixed(0)} MB in ${(tookMs / 1000).toFixed(0)} s`;
  return [
    [
      'an endless body to a 1 MB/s client: memory above base',
      'under 20 MB',
      `${grown.toFixed(1)} MB (${rate})`,
      grown < 20,
    ],
  ];
};

type Measure = (bench: Bench) => Promise<Row[]>;

/** One measurement on a proxy of its own, so that none inherits the memory of another. */
const onFreshProxy = async (stage: BenchStage, figuresFile: string, measure: Measure): Promise<Row[]> => {
  const peer = crawlgateAt({
    upstreams: [{ url: `http://127.0.0.1:${stage.origin.plain}` }],
    websites: { [HELD_HOST]: { siteDelay: HELD_DELAY } },
  });
  const absent = peer.absent();
  if (absent !== undefined) throw new Error(absent);
  const { running, port, ca = '' } = await peer.start(stage);
  const client = forkRole('scale-client.ts');
  client.send({ port, ca });
  const warm: ScaleOrder = { type: 'tunnels', first: 900_000, count: 300, atOnce: 20, request: true, keep: false };
  must('warming up', await ask(client, warm));
  try {
    return await measure({
      client,
      rss: () => usageOf(running.pid).residentBytes,
      delays: () => readDelays(running, figuresFile),
    });
  } finally {
    client.disconnect();
    await running.stop(2000);
  }
};

const readDelays = async (running: Running, figuresFile: string): Promise<Delays> => {
  writeFileSync(figuresFile, '');
  process.kill(running.pid, 'SIGUSR2');
  for (let left = 200; left > 0; left--) {
    await sleep(50);
    const text = readFileSync(figuresFile, 'utf8');
    if (text.endsWith('}')) return JSON.parse(text) as Delays;
  }
  throw new Error(`the proxy does not answer its probe: ${running.complaint()}`);
};

/** Runs them one after the other and returns the table. */
export const measureScale = async (quick: boolean): Promise<string> => {
  const probeFile = join(folder, 'probe.mjs');
  const figuresFile = join(folder, 'delays.json');
  writeFileSync(probeFile, PROBE(figuresFile));
  const stage = await setStage(['--expose-gc', '--import', probeFile]);
  const share = quick ? 5 : 1;
  const measures: Measure[] = [
    newHosts,
    visitedHosts,
    (bench) => idleTunnels(bench, 10_000 / share),
    (bench) => heldRequests(bench, 5000 / share),
    (bench) => slowClient(bench, 60 / share),
  ];
  const rows: Row[] = [];
  for (const measure of measures) rows.push(...(await onFreshProxy(stage, figuresFile, measure)));
  return [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machineText()}, Node ${process.version}; a fresh process each, RSS after garbage collection.`,
    table([
      ['crawlgate', 'goal', 'measured', ''],
      ...rows.map(([what, goal, measured, fine]) => [what, goal, measured, fine ? 'reached' : 'not reached']),
    ]),
  ].join('\n\n');
};
