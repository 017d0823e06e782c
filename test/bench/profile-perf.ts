/** Samples a Node process with Linux perf and gives each sample to the JavaScript function it ran for. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folder, type Running, start } from './children.ts';
import { which } from './peers/peer.ts';
import { shortPlace } from './profile-places.ts';
import { table } from './report.ts';

const HERTZ = 1999;
const TOP = 60;
const FILES = 25;
const NAME_CHARS = 40;
const SCRIPT_BYTES = 1 << 30;

export const hasPerf = (): boolean => which('perf') !== undefined;

/** Makes Node tell perf the names of its functions. */
export const perfFlags: readonly string[] = ['--perf-basic-prof'];

const file = join(folder, 'perf.data');

/** Records a process for so long; resolves at once, the recording ends by itself. */
export const record = (pid: number, seconds: number): Promise<Running> =>
  start('perf', ['record', '-F', String(HERTZ), '-g', '-p', String(pid), '-o', file, '--', 'sleep', String(seconds)]);

interface Share {
  own: number;
  /** The part of `own` spent inside the kernel. */
  kernel: number;
  /** With everything called from it. */
  total: number;
}

const FRAME = /^\s*[0-9a-f]+ (.*) \((.*)\)$/;
const SCRIPT = /^JS:[*~^]?(.*?) ?((?:file:|node:|\/)\S*):(\d+):\d+$/;
const GARBAGE = /Heap::|Scaveng|MarkCompact|Sweeper|MinorGC|ConcurrentMark/;

const nameOf = (symbol: string): string | undefined => {
  const match = SCRIPT.exec(symbol);
  if (!match) return symbol.startsWith('JS:') ? symbol.slice(0, NAME_CHARS) : undefined;
  const [, name = '', url = '', line = ''] = match;
  const path = shortPlace(url.startsWith('file:') ? fileURLToPath(url) : url);
  return `${(name || '(anonymous)').slice(0, NAME_CHARS)}\t${path}:${line}`;
};

/** What a stack without JavaScript was busy with. */
const nativeName = (symbols: readonly string[]): string => {
  if (symbols.some((symbol) => GARBAGE.test(symbol))) return '(garbage collection)\t';
  if (symbols.some((symbol) => /Parser::|llhttp/.test(symbol))) return '(llhttp)\t';
  if (symbols.some((symbol) => /uv__stream_io|uv__read/.test(symbol))) return '(reading sockets)\t';
  if (symbols.some((symbol) => /uv__io_poll|epoll/.test(symbol))) return '(event loop)\t';
  return '(other native)\t';
};

const shareOf = (shares: Map<string, Share>, name: string): Share => {
  const known = shares.get(name);
  if (known) return known;
  const made = { own: 0, kernel: 0, total: 0 };
  shares.set(name, made);
  return made;
};

/** Innermost frame first. */
const count = (shares: Map<string, Share>, symbols: readonly string[], inKernel: boolean): void => {
  const names = symbols.map(nameOf);
  const owner = GARBAGE.test(symbols.join(' ')) ? undefined : names.find((name) => name !== undefined);
  const own = shareOf(shares, owner ?? nativeName(symbols));
  own.own++;
  if (inKernel) own.kernel++;
  for (const name of new Set(names)) if (name !== undefined) shareOf(shares, name).total++;
};

const readSamples = (): { shares: Map<string, Share>; samples: number; kernel: number } => {
  const text = execFileSync('perf', ['script', '-i', file, '-F', 'ip,sym,dso'], {
    encoding: 'latin1',
    maxBuffer: SCRIPT_BYTES,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const shares = new Map<string, Share>();
  let samples = 0;
  let kernel = 0;
  for (const block of text.split('\n\n')) {
    const frames = block.split('\n').flatMap((line) => FRAME.exec(line) ?? []).length > 0 ? block.split('\n') : [];
    if (frames.length === 0) continue;
    const parsed = frames.map((line) => FRAME.exec(line)).filter((match) => match !== null);
    const inKernel = parsed[0]?.[2]?.includes('kernel') ?? false;
    samples++;
    if (inKernel) kernel++;
    count(
      shares,
      parsed.map((match) => (match[1] ?? '').replace(/\+0x[0-9a-f]+$/, '')),
      inKernel,
    );
  }
  return { shares, samples, kernel };
};

const byFile = (shares: ReadonlyMap<string, Share>): Map<string, Share> => {
  const files = new Map<string, Share>();
  for (const [name, { own, kernel }] of shares) {
    const [label = '', place = ''] = name.split('\t');
    const sum = shareOf(files, place === '' ? label : place.replace(/:\d+$/, ''));
    sum.own += own;
    sum.kernel += kernel;
  }
  return files;
};

/** Tables of the recording, in microseconds a request, given what a request costs altogether. */
export const readPerf = (pid: number, cpuUsPerRequest: number): string => {
  const { shares, samples, kernel } = readSamples();
  rmSync(`/tmp/perf-${pid}.map`, { force: true });
  const us = (part: number): string => ((part / Math.max(1, samples)) * cpuUsPerRequest).toFixed(2);
  const top = (from: ReadonlyMap<string, Share>, by: 'own' | 'total', most: number) =>
    [...from].sort((a, b) => b[1][by] - a[1][by]).slice(0, most);
  const functions = top(shares, 'own', TOP).map(([name, share]) => [
    ...name.split('\t'),
    us(share.own),
    us(share.kernel),
    us(share.total),
  ]);
  const inclusive = top(shares, 'total', TOP).map(([name, share]) => [
    ...name.split('\t'),
    us(share.total),
    us(share.own),
  ]);
  const files = top(byFile(shares), 'own', FILES).map(([name, share]) => [name, us(share.own), us(share.kernel)]);
  return [
    `${samples} samples, ${us(kernel)} us a request inside the kernel. "own" includes what a function calls in C++ and the kernel.`,
    table([['function', 'where', 'own us', 'kernel us', 'total us'], ...functions]),
    table([['function', 'where', 'total us', 'own us'], ...inclusive]),
    table([['file', 'own us', 'kernel us'], ...files]),
  ].join('\n\n');
};
