/** Where the CPU time of a Node peer goes: runs it with --cpu-prof under one load and lists the functions by their own time. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CASES } from './cases.ts';
import { folder } from './children.ts';
import { PEERS } from './peers/registry.ts';
import { table } from './report.ts';
import { createDriver } from './rounds.ts';
import { setStage } from './stage.ts';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

const SAMPLE_US = 250;
const WARM_MS = 3000;
const EXIT_MS = 20_000;
const TOP = 45;
const ROOT = join(import.meta.dirname, '../..');

const NAME_CHARS = 48;
const FILES = 20;

const placeOf = (url: string, line: number): string => {
  if (url === '') return '';
  const path = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url;
  return line < 0 ? path : `${path}:${line + 1}`;
};

/** Own time by function over the last `windowUs` of a profile, microseconds; idle time left out. */
const ownTimes = (profile: CpuProfile, windowUs: number): Map<string, number> => {
  const frames = new Map(
    profile.nodes.map(({ id, callFrame }) => [
      id,
      `${(callFrame.functionName || '(anonymous)').slice(0, NAME_CHARS)}\t${placeOf(callFrame.url, callFrame.lineNumber)}`,
    ]),
  );
  const times = new Map<string, number>();
  let left = windowUs;
  for (let at = profile.samples.length - 1; at >= 0 && left > 0; at--) {
    const tookUs = profile.timeDeltas[at] ?? 0;
    left -= tookUs;
    const frame = frames.get(profile.samples[at] ?? 0) ?? '';
    if (!frame.startsWith('(idle)')) times.set(frame, (times.get(frame) ?? 0) + tookUs);
  }
  return times;
};

const topOf = (
  times: ReadonlyMap<string, number>,
  requests: number,
  heads: readonly string[],
  most: number,
): string => {
  const total = [...times.values()].reduce((sum, us) => sum + us, 0);
  const rows = [...times]
    .sort((a, b) => b[1] - a[1])
    .slice(0, most)
    .map(([name, us]) => [...name.split('\t'), ((us / total) * 100).toFixed(1), (us / requests).toFixed(2)]);
  return table([[...heads, 'own %', 'us/request'], ...rows]);
};

const byFile = (times: ReadonlyMap<string, number>): Map<string, number> => {
  const files = new Map<string, number>();
  for (const [frame, us] of times) {
    const [name = '', place = ''] = frame.split('\t');
    const file = place === '' ? name : place.replace(/:\d+$/, '');
    files.set(file, (files.get(file) ?? 0) + us);
  }
  return files;
};

const readProfile = (directory: string): CpuProfile => {
  const [file] = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('the peer wrote no profile: it does not end by itself on SIGTERM');
  return JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile;
};

/** Runs the load for so many seconds under the profiler and returns the tables. */
export const profile = async (peerName: string, caseName: string, seconds: number): Promise<string> => {
  const peer = PEERS.find((one) => one.name === peerName);
  const which = CASES.find((one) => one.name === caseName);
  if (!peer || !which) throw new Error(`there is no ${peer ? `case "${caseName}"` : `peer "${peerName}"`}`);
  const absent = peer.absent();
  if (absent !== undefined) throw new Error(absent);
  const directory = join(folder, 'profile');
  mkdirSync(directory);
  const flags = ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${SAMPLE_US}`];
  const stage = await setStage(flags);
  const started = await peer.start(stage);
  const driver = createDriver(stage.origin, stage.originCa);
  const pace = { rounds: 1, runMs: seconds * 1000, warmMs: WARM_MS, maxRequests: 1_000_000, until: Number.MAX_VALUE };
  const round = await driver.round(which, { name: peer.name, started, oneShot: false }, pace);
  driver.stop();
  await started.running.stop(EXIT_MS);
  const times = ownTimes(readProfile(directory), round.elapsedMs * 1000);
  return [
    `${peer.name}, ${which.title}: ${round.requests} requests, ${round.errors} errors, ` +
      `${round.cpuUsPerRequest.toFixed(1)} us of CPU a request (profiler included)`,
    topOf(times, round.requests, ['function', 'where'], TOP),
    topOf(byFile(times), round.requests, ['file'], FILES),
  ].join('\n\n');
};
