/** One process a data folder: who comes second is told who was first, and a dead one is in nobody's way (S-20). */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type FolderLock, lockFolder } from '../../src/store/folder-lock.ts';
import { start } from '../support/child.ts';

/** Listens in the folder and tells so. */
const HOLDER = `require('node:net').createServer(() => {}).listen(process.argv[1], () => console.log('there'))`;

describe('the lock of a data folder', () => {
  let folder: string;
  let said: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'crawlgate-lock-'));
    said = [];
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
    expect(said).toEqual([]);
  });

  const take = async (where = folder): Promise<FolderLock> => {
    const lock = await lockFolder(where, (problem) => said.push(problem));
    onTestFinished(() => lock.release());
    return lock;
  };

  /** What a process that was killed leaves. */
  const leaveDead = async (): Promise<void> => {
    const path = join(folder, 'lock');
    const child = start(process.execPath, ['-e', HOLDER, path]);
    await child.says(/there/);
    child.kill('SIGKILL');
    await child.exit;
    expect(existsSync(path)).toBe(true);
  };

  it('tells the second in one line which folder it is, who has it and what to do', async () => {
    await take();
    const text = await take().catch((error: Error) => error.message);
    expect(text).toBe(
      `data: ${folder} is in use by process ${process.pid} on ${hostname()}: give each its own folder, or let them share a Redis (store)`,
    );
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  it('is free again once it is released, and leaves nothing behind', async () => {
    await (await take()).release();
    expect(readdirSync(folder)).toEqual([]);
    await take();
  });

  it('a lock of a killed process is taken over at once', async () => {
    await leaveDead();
    await take();
    await expect(take()).rejects.toThrow(`in use by process ${process.pid}`);
  });

  it('a process that is stopped holds it all the same', async () => {
    const child = start(process.execPath, ['-e', HOLDER, join(folder, 'lock')]);
    await child.says(/there/);
    child.kill('SIGSTOP');
    await expect(take()).rejects.toThrow('in use by a process that does not answer');
  });

  it('of many that come at once, over a dead one or none, exactly one gets it', async () => {
    for (const isDead of [false, true]) {
      if (isDead) await leaveDead();
      const results = await Promise.allSettled(Array.from({ length: 12 }, () => lockFolder(folder, said.push)));
      const got = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(got).toHaveLength(1);
      await got[0]?.release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('takes a folder with a path longer than a socket can have', async () => {
    const deep = join(folder, 'd'.repeat(120));
    mkdirSync(deep);
    await take(deep);
    await expect(take(deep)).rejects.toThrow(deep);
  });

  it('a file of that name that is no lock is replaced', async () => {
    writeFileSync(join(folder, 'lock'), 'something');
    await take();
    await expect(take()).rejects.toThrow('in use');
  });

  it('does not give away what another process has taken over', async () => {
    const lock = await take();
    rmSync(join(folder, 'lock'));
    const other = await take();
    await lock.release();
    await expect(take()).rejects.toThrow('in use');
    await other.release();
  });

  it('a caller that keeps its connection open holds nothing up', async () => {
    const lock = await take();
    const caller = connect({ path: join(folder, 'lock'), allowHalfOpen: true });
    onTestFinished(() => void caller.destroy());
    await new Promise((resolve) => caller.once('data', resolve));
    await lock.release();
  });

  it('where nothing can be locked it says so and keeps nobody out', async () => {
    const gone = join(folder, 'gone');
    await lockFolder(gone, (problem) => said.push(problem));
    expect(said.splice(0).join('\n')).toMatch(
      /^data: .*gone cannot be locked \(E[A-Z]+\): start no second process on it$/,
    );
  });
});
