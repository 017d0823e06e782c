/** The key made at first start when none is configured, kept in a file that only the owner can read. */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../model/settings.ts';
import { hashKey, makeAccount, parseKey } from './accounts.ts';

export interface KeptKey {
  readonly key: string;
  readonly file: string;
  /** True for the one process that made it; it prints the key. */
  readonly made: boolean;
}

/** A kept key cannot be read or made; the message names the file and what to do, never the key. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** `undefined` while there is no file, or an empty one. */
const readKey = (file: string): string | undefined => {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new KeyFileError(`${file}: cannot be read (${codeOf(error)})`);
  }
  if (content.trim() === '') return undefined;
  const key = parseKey(content.trim());
  if (!key.ok) throw new KeyFileError(`${file}: holds no key; write one into it, or delete it to have a new one made`);
  return key.value;
};

/** Nothing else may read it; where modes do not exist that is left alone. */
const closeToOthers = (file: string): void => {
  try {
    chmodSync(file, 0o600);
  } catch {
    // Another owner's file, or a file system without modes.
  }
};

/** Puts a whole file into place unless one is there: a link is made by exactly one of several processes. */
const place = (file: string, content: string): boolean => {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx', flush: true });
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (['EPERM', 'ENOTSUP', 'ENOSYS'].includes(codeOf(error))) return placeWithoutLink(file, content);
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
};

/** For file systems without hard links. */
const placeWithoutLink = (file: string, content: string): boolean => {
  try {
    writeFileSync(file, content, { mode: 0o600, flag: 'wx', flush: true });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
};

const PATIENCE_MS = 200;
const PAUSE_MS = 10;

/** The key another process has just placed; without links its file may be empty for a moment. */
const othersKey = (file: string): string => {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += PAUSE_MS) {
    const key = readKey(file);
    if (key !== undefined) return key;
    Atomics.wait(pause, 0, 0, PAUSE_MS);
  }
  throw new KeyFileError(`${file}: is empty; delete it to have a new key made`);
};

/**
 * The key kept in `<folder>/<name>`; made when there is none. Several processes that start at once end with one key.
 * Throws `KeyFileError`.
 */
export const keepKey = (folder: string, name: 'api-key' | 'admin-key'): KeptKey => {
  const file = join(folder, name);
  const kept = readKey(file);
  if (kept !== undefined) {
    closeToOthers(file);
    return { key: kept, file, made: false };
  }
  const key = randomBytes(16).toString('hex');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (place(file, `${key}\n`)) return { key, file, made: true };
  } catch (error) {
    throw new KeyFileError(`${file}: cannot be written (${codeOf(error)})`);
  }
  return { key: othersKey(file), file, made: false };
};

/** Settings with one account `default` when none is configured; `kept` is there when its key came from the data folder. */
export const withFirstKey = (settings: Settings): { settings: Settings; kept: KeptKey | undefined } => {
  if (settings.accounts.length > 0) return { settings, kept: undefined };
  const kept = keepKey(settings.data, 'api-key');
  const account = makeAccount({ id: 'default', keySha256: hashKey(kept.key) });
  return { settings: { ...settings, accounts: [account] }, kept };
};

/** Settings with an admin key; one is made like the account's when none is configured. */
export const withAdminKey = (settings: Settings): { settings: Settings; kept: KeptKey | undefined } => {
  if (settings.admin.key !== undefined) return { settings, kept: undefined };
  const kept = keepKey(settings.data, 'admin-key');
  return { settings: { ...settings, admin: { ...settings.admin, key: kept.key } }, kept };
};
