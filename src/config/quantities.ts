/** Durations, sizes, whole numbers and port ranges as the configuration writes them. */
import { fine, type Parsed, wrong } from './parsed.ts';

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Node's timers fire at once beyond this. */
const LONGEST_MS = 2 ** 31 - 1;

const AMOUNT = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})$/;

const inUnits = (value: unknown, units: Readonly<Record<string, number>>): number | undefined => {
  if (value === 0 || value === '0') return 0;
  if (typeof value !== 'string') return undefined;
  const match = AMOUNT.exec(value);
  const unit = match && Object.hasOwn(units, match[2] as string) ? units[match[2] as string] : undefined;
  if (!match || unit === undefined) return undefined;
  const amount = Number(match[1]) * unit;
  return Math.abs(amount - Math.round(amount)) < 1e-6 ? Math.round(amount) : undefined;
};

/** Milliseconds of `200ms`, `12s`, `30m`, `1h` or a bare 0, whole and within what a timer can wait. */
export const parseDuration = (value: unknown, atLeastMs = 0): Parsed<number> => {
  const ms = inUnits(value, MILLISECONDS);
  if (ms === undefined) return wrong('expected a duration such as 200ms, 12s, 30m or 1h');
  if (ms > LONGEST_MS) return wrong('the longest duration is 596h');
  return ms < atLeastMs ? wrong(`must be at least ${atLeastMs}ms`) : fine(ms);
};

/** Bytes of `64KiB`, `100KB`, `500MiB` or a bare 0. */
export const parseSize = (value: unknown, atLeast = 0): Parsed<number> => {
  const bytes = inUnits(value, BYTES);
  if (bytes === undefined || !Number.isSafeInteger(bytes))
    return wrong('expected a size such as 100KB, 64KiB or 500MiB');
  return bytes < atLeast ? wrong(`must be at least ${atLeast} bytes`) : fine(bytes);
};

/** A whole number between two bounds, both allowed. */
export const parseWhole = (value: unknown, least: number, most: number): Parsed<number> =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    ? fine(value)
    : wrong(`expected a whole number from ${least} to ${most}`);

const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?$/;

/** `443` or `1024-65535` as an inclusive range. */
export const parsePortRange = (value: unknown): Parsed<readonly [number, number]> => {
  const match = PORTS.exec(typeof value === 'number' ? String(value) : typeof value === 'string' ? value : '');
  const first = Number(match?.[1] ?? 0);
  const last = Number(match?.[2] ?? first);
  return first >= 1 && last <= 65_535 && first <= last
    ? fine([first, last] as const)
    : wrong('expected a port from 1 to 65535 or a range such as 1024-65535');
};
