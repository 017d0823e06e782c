/** Files of the CA folder: written whole or not at all, keys read only when nobody else can. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';

/** The folder's state forbids to start; the message says what to do and shows no key. */
export class CaError extends Error {
  override readonly name = 'CaError';
}

export const KEY_MODE = 0o600;
export const PUBLIC_MODE = 0o644;
const GROUP_OR_OTHERS = 0o077;
/** File systems without hard links answer one of these. */
const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']);

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown error';

export const caError = (path: string, what: string, error: unknown): CaError =>
  error instanceof CaError ? error : new CaError(`${path}: ${what} (${codeOf(error)}, user id ${process.getuid?.()})`);

export const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw caError(path, 'cannot be read', error);
  }
};

const temporary = (path: string, content: string, mode: number): string => {
  const name = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  writeFileSync(name, content, { mode, flag: 'wx', flush: true });
  return name;
};

/** Puts a whole file in place unless there is one already: of two processes starting at once one wins, both read its file. */
export const placeOnce = (path: string, content: string, mode: number): void => {
  let temp: string | undefined;
  try {
    temp = temporary(path, content, mode);
    linkSync(temp, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (!NO_LINKS.has(codeOf(error)) || temp === undefined) throw caError(path, 'cannot be written', error);
    placeUnlinked(path, content, mode);
  } finally {
    if (temp !== undefined) rmSync(temp, { force: true });
  }
};

const placeUnlinked = (path: string, content: string, mode: number): void => {
  try {
    writeFileSync(path, content, { mode, flag: 'wx', flush: true });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw caError(path, 'cannot be written', error);
  }
};

export const replace = (path: string, content: string, mode: number): void => {
  let temp: string | undefined;
  try {
    temp = temporary(path, content, mode);
    renameSync(temp, path);
  } catch (error) {
    if (temp !== undefined) rmSync(temp, { force: true });
    throw caError(path, 'cannot be written', error);
  }
};

/** Reads the key through one descriptor, so that what was checked is what is read. */
export const readKeyFile = (path: string): string | undefined => {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const mode = fstatSync(fd).mode & 0o777;
    if (process.platform !== 'win32' && (mode & GROUP_OR_OTHERS) !== 0) {
      const shown = mode.toString(8).padStart(4, '0');
      throw new CaError(`${path}: the CA key is open to group or others (mode ${shown}); run: chmod 600 ${path}`);
    }
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw caError(path, 'cannot be read', error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
};

export const makeFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw caError(folder, 'cannot be made', error);
  }
};
