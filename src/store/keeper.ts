/** Keeps a small state in a file: written soon after a change, as a whole, so that a crash leaves the old or the new one. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../pipeline/ports.ts';

export interface KeeperOptions {
  /** What is kept, in the words of a report. */
  readonly what: string;
  readonly file: string;
  readonly clock: Clock;
  /** The state as it is now. */
  readonly text: () => string;
  readonly report: (problem: string) => void;
}

export interface Keeper {
  /** Written within a second. */
  readonly changed: () => void;
  /** Written with the next change, at the latest within half a minute. */
  readonly touched: () => void;
  /** Writes the state as it is at the end. */
  readonly close: () => Promise<void>;
}

export const NO_KEEPER: Keeper = { changed: () => undefined, touched: () => undefined, close: async () => undefined };

const SOON_MS = 800;
const LAZILY_MS = 30_000;
const AFTER_FAILURE_MS = 10_000;

const replaceFile = async (file: string, text: string): Promise<void> => {
  const draft = `${file}.${process.pid}.new`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
};

export const makeKeeper = ({ what, file, clock, text, report }: KeeperOptions): Keeper => {
  let timer: Timer | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let closed = false;

  const due = (ms: number): void => {
    const at = clock.now() + ms;
    if (closed || at >= dueAt) return;
    dueAt = at;
    timer?.cancel();
    timer = clock.after(ms, start);
  };

  const write = async (): Promise<void> => {
    try {
      await replaceFile(file, text());
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      report(`${what} cannot be written to ${file}: ${code}`);
      due(AFTER_FAILURE_MS);
    }
  };

  /** Nothing is due any more: a change from here on asks anew. */
  const settle = (): void => {
    timer?.cancel();
    timer = undefined;
    dueAt = Number.POSITIVE_INFINITY;
  };

  const start = (): void => {
    settle();
    if (writing) {
      due(SOON_MS);
      return;
    }
    writing = write().finally(() => {
      writing = undefined;
    });
  };

  return {
    changed: () => due(SOON_MS),
    touched: () => due(LAZILY_MS),
    close: async () => {
      if (closed) return;
      settle();
      closed = true;
      await writing;
      await write();
    },
  };
};
