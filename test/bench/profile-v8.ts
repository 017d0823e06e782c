/** Reads what `node --cpu-prof` wrote. Its samples lean towards system calls on a busy machine; perf is more exact where there is one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shortPlace } from './profile-places.ts';
import { table } from './report.ts';

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
const TOP = 45;

const NAME_CHARS = 48;
const FILES = 20;

const placeOf = (url: string, line: number): string => {
  if (url === '') return '';
  const path = shortPlace(url.startsWith('file:') ? fileURLToPath(url) : url);
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

export const cpuProfFlags = (directory: string): readonly string[] => [
  '--cpu-prof',
  `--cpu-prof-dir=${directory}`,
  `--cpu-prof-interval=${SAMPLE_US}`,
];

/** Tables of the last `windowMs` of the profile in `directory`. */
export const readCpuProf = (directory: string, windowMs: number, requests: number): string => {
  const times = ownTimes(readProfile(directory), windowMs * 1000);
  return [topOf(times, requests, ['function', 'where'], TOP), topOf(byFile(times), requests, ['file'], FILES)].join(
    '\n\n',
  );
};
