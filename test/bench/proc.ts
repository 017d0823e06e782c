/** CPU time and memory of a process and all its descendants, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

interface Stat {
  readonly parent: number;
  /** Clock ticks in user and system mode, waited-for children included. */
  readonly ticks: number;
  readonly residentPages: number;
}

/** USER_HZ and the page size as the kernel shows them to user space on every Linux this runs on. */
const TICK_US = 10_000;
const PAGE_BYTES = 4096;

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
};

const statOf = (pid: number): Stat | undefined => {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (nth: number): number => Number(fields[nth - 3]);
  return { parent: field(4), ticks: field(14) + field(15) + field(16) + field(17), residentPages: field(24) };
};

const treeOf = (root: number): Stat[] => {
  const all = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat) all.set(Number(name), stat);
  }
  const belongs = (pid: number, depth = 0): boolean => {
    if (pid === root) return true;
    const parent = all.get(pid)?.parent;
    return parent !== undefined && parent > 1 && depth < 32 && belongs(parent, depth + 1);
  };
  return [...all].filter(([pid]) => belongs(pid)).map(([, stat]) => stat);
};

export interface Usage {
  /** User and system time so far, microseconds, in steps of 10 ms. */
  readonly cpuUs: number;
  readonly residentBytes: number;
}

/** The whole tree under `root`; zeros once it is gone. */
export const usageOf = (root: number): Usage =>
  treeOf(root).reduce<Usage>(
    (sum, stat) => ({
      cpuUs: sum.cpuUs + stat.ticks * TICK_US,
      residentBytes: sum.residentBytes + stat.residentPages * PAGE_BYTES,
    }),
    { cpuUs: 0, residentBytes: 0 },
  );
