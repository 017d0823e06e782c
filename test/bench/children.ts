/** Every child process and temporary folder of a run, so that nothing outlives it: not at the end, on failure, or on Ctrl-C. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { chmodSync, closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StartOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Standard output goes through a pipe to a process that throws it away, as a log collector would read it. */
  readonly discardOutput?: boolean;
}

export interface Running {
  readonly pid: number;
  /** What it last wrote to standard error. */
  complaint(): string;
  readonly exited: Promise<number | null>;
  /** Asks it to end and waits, at most so long. */
  stop(waitMs: number): Promise<void>;
}

const groups = new Set<number>();
export const folder = mkdtempSync(join(tmpdir(), 'crawlgate-bench-'));
// Peers that refuse to be root have to pass through it.
chmodSync(folder, 0o711);
let pipePath: string | undefined;

/** Told of every child, it ends them when this process is gone, even when that was killed without a chance to clean up. */
const warden = spawn(
  'sh',
  [
    '-c',
    'while read -r pid; do pids="$pids -$pid"; done; kill -s KILL -- $pids 2>/dev/null; rm -rf -- "$1"',
    'sh',
    folder,
  ],
  { stdio: ['pipe', 'ignore', 'ignore'], detached: true },
);
warden.unref();

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(-pid, name);
  } catch {
    // gone already
  }
};

const sweep = (): void => {
  for (const pid of groups) signal(pid, 'SIGKILL');
  groups.clear();
  rmSync(folder, { recursive: true, force: true });
};

process.on('exit', sweep);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => process.exit(130));

const remember = (child: ChildProcess): number => {
  const pid = child.pid;
  if (pid === undefined) throw new Error('the process did not start');
  groups.add(pid);
  warden.stdin.write(`${pid}\n`);
  return pid;
};

const runOnce = (command: string, args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('latin1')).slice(-2000);
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}: ${said}`)),
    );
  });

export { runOnce };

/** A named pipe whose other end is read and thrown away. */
export const discardPipe = async (): Promise<string> => {
  if (pipePath !== undefined) return pipePath;
  pipePath = join(folder, 'log.pipe');
  await runOnce('mkfifo', ['-m', '666', pipePath]);
  const fd = openSync(pipePath, constants.O_RDWR);
  remember(spawn('cat', { stdio: [fd, 'ignore', 'ignore'], detached: true }));
  closeSync(fd);
  return pipePath;
};

/** Starts a program in its own process group. */
export const start = async (command: string, args: readonly string[], options: StartOptions = {}): Promise<Running> => {
  const out = options.discardOutput ? openSync(await discardPipe(), 'w') : undefined;
  const { uid, gid, cwd = folder, env = process.env } = options;
  const child = spawn(command, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', out ?? 'ignore', 'pipe'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  if (out !== undefined) closeSync(out);
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString('latin1')).slice(-2000);
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const pid = remember(child);
  return {
    pid,
    complaint: () => complaint.trim(),
    exited,
    async stop(waitMs) {
      signal(pid, 'SIGTERM');
      await Promise.race([exited, sleep(waitMs, undefined, { ref: false })]);
      signal(pid, 'SIGKILL');
      groups.delete(pid);
    },
  };
};

/** Forks one of our own roles with a message channel. */
export const forkRole = (file: string): ChildProcess => {
  const child = fork(join(import.meta.dirname, file), {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  remember(child);
  return child;
};

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** Resolves once something listens on the port; throws with the program's own words when it ends first or takes too long. */
export const listening = async (running: Running, port: number, waitMs = 20_000): Promise<void> => {
  let ended = false;
  void running.exited.then(() => {
    ended = true;
  });
  for (const until = Date.now() + waitMs; Date.now() < until; await sleep(50)) {
    if (await accepts(port)) return;
    if (ended) throw new Error(`ended before it listened: ${running.complaint()}`);
  }
  throw new Error(`does not listen after ${waitMs} ms: ${running.complaint()}`);
};
