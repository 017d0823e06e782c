/** Programs as child processes: what they say is kept, what they wait for is waited for by event, and none outlives its test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';

export interface Exit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface Child {
  readonly process: ChildProcess;
  out(): string;
  err(): string;
  /** Resolves when its output matches from `from` characters on; rejects when it ends, or after 45 s: the machine may be busy. */
  says(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  kill(signal?: NodeJS.Signals): void;
  readonly exit: Promise<Exit>;
}

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const DEADLINE_MS = 45_000;

/** Only what a program needs: nothing of the tester's environment may decide a test. */
const BASE_ENV = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };

/** In a process group of its own, killed as a whole when the test is over. */
export const start = (program: string, args: readonly string[], options: ChildOptions = {}): Child => {
  const { cwd, env = {} } = options;
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...BASE_ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let out = '';
  let err = '';
  const looking = new Set<() => void>();
  const look = (): void => {
    for (const one of looking) one();
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    look();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
    look();
  });
  let ended = false;
  const exit = new Promise<Exit>((resolve) => {
    const finish = (status: number | null, signal: NodeJS.Signals | null): void => {
      ended = true;
      look();
      resolve({ status, signal, out, err });
    };
    child.on('close', finish);
    child.on('error', (error) => {
      err += error.message;
      finish(null, null);
    });
  });
  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of it is gone already.
    }
  };
  onTestFinished(async () => {
    killGroup();
    await exit;
  });
  return {
    process: child,
    out: () => out,
    err: () => err,
    exit,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    says: (pattern, from = 0) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => {
          settle();
          reject(new Error(`${why} ${pattern}: ${out}${err}`));
        };
        const timer = setTimeout(() => fail('waited in vain for'), DEADLINE_MS);
        const settle = (): void => {
          clearTimeout(timer);
          looking.delete(check);
        };
        const check = (): void => {
          const found = pattern.exec(out.slice(from));
          if (found) {
            settle();
            resolve(found);
          } else if (ended) fail('ended without');
        };
        looking.add(check);
        check();
      }),
  };
};

export const run = (program: string, args: readonly string[], options: ChildOptions = {}): Promise<Exit> =>
  start(program, args, options).exit;
