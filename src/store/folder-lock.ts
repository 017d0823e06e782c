/**
 * Keeps a data folder to one process: two that write the same snapshot would undo each other. The lock is a socket in the
 * folder, which a living process answers and a dead one does not, whatever killed it and whatever its number was; so a lock
 * left behind is taken over at once, also by a container in which every process has the same number.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';

export interface FolderLock {
  release(): Promise<void>;
}

const NAME = 'lock';
/** Longest path a socket takes anywhere, with room for a name in it. */
const MOST_PATH_BYTES = 80;
const ANSWER_MS = 500;
const MOST_ANSWER = 200;
/** Others that start at the same moment may be met so often. */
const TRIES = 20;

/** A path of the folder that is short enough for a socket. */
const shorten = (folder: string): { short: string; done: () => void } => {
  if (Buffer.byteLength(folder) <= MOST_PATH_BYTES || process.platform !== 'linux') {
    return { short: folder, done: () => undefined };
  }
  const fd = openSync(folder, 'r');
  return { short: `/proc/self/fd/${fd}`, done: () => closeSync(fd) };
};

/** Answers whoever asks with who we are, and keeps no process running. */
const answerAt = (path: string): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.setTimeout(ANSWER_MS, () => socket.destroy());
      socket.unref();
      socket.end(`process ${process.pid} on ${hostname()}`);
    });
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      server.unref();
      resolve(server);
    });
  });

/** Who answers there; `undefined` when nobody lives behind it. One that takes the call and says nothing lives. */
const whoIsAt = (path: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const finish = (who: string | undefined): void => {
      socket.destroy();
      resolve(who);
    };
    socket.setTimeout(ANSWER_MS, () => finish(text || 'a process that does not answer'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.length > MOST_ANSWER) finish('another program');
    });
    socket.on('end', () => finish(text || 'another process'));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      finish(code === 'ECONNREFUSED' || code === 'ENOENT' ? undefined : `another process (${code})`);
    });
  });

const inodeOf = (path: string): bigint | undefined => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;

const isCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;

/** True when the lock is ours now, false when there is one. */
const tryLink = (own: string, lock: string): boolean => {
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
};

/** Takes a dead lock away; one that somebody else has taken over meanwhile is put back. */
const clear = (lock: string, dead: bigint, aside: string): void => {
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  if (inodeOf(aside) !== dead) tryLink(aside, lock);
  rmSync(aside, { force: true });
};

/** Resolves with who holds the lock, `undefined` when it is ours. */
const take = async (folder: string, short: string, own: string): Promise<string | undefined> => {
  const lock = join(folder, NAME);
  for (let i = 0; i < TRIES; i++) {
    if (tryLink(own, lock)) return undefined;
    const inode = inodeOf(lock);
    const who = await whoIsAt(join(short, NAME));
    if (who !== undefined) return who;
    if (inode !== undefined) clear(lock, inode, `${own}.old`);
  }
  return 'processes that start at the same time';
};

const lockAt = async (folder: string, short: string): Promise<FolderLock | string> => {
  const name = `${NAME}.${randomBytes(6).toString('hex')}`;
  const own = join(folder, name);
  const server = await answerAt(join(short, name));
  const stop = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  try {
    const who = await take(folder, short, own);
    if (who !== undefined) {
      await stop();
      return who;
    }
    const inode = inodeOf(own);
    rmSync(own, { force: true });
    const lock = join(folder, NAME);
    return {
      release: async () => {
        if (inodeOf(lock) === inode) rmSync(lock, { force: true });
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

/**
 * Rejects with one line that names folder and holder when another process has it. Where the file system knows no sockets
 * or links, that is reported and nobody is kept out.
 */
export const lockFolder = async (folder: string, report: (problem: string) => void): Promise<FolderLock> => {
  const nothing: FolderLock = { release: async () => undefined };
  let got: FolderLock | string;
  try {
    const { short, done } = shorten(folder);
    got = await lockAt(folder, short).finally(done);
  } catch (error) {
    report(
      `data: ${folder} cannot be locked (${String((error as NodeJS.ErrnoException).code)}): start no second process on it`,
    );
    return nothing;
  }
  if (typeof got !== 'string') return got;
  throw new Error(`data: ${folder} is in use by ${got}: give each its own folder, or let them share a Redis (store)`);
};
