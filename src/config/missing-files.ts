/** Files the configuration names have to be there when it is read. */
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isMapping, type Path, type Problem } from './parsed.ts';

const FILE_KEYS: readonly Path[] = [['bans', 'rules'], ['userAgents'], ['targets', 'extraRoots']];

const isReadableFile = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

const valueAt = (tree: unknown, path: Path): unknown =>
  path.reduce<unknown>((node, key) => (isMapping(node) ? node[key] : undefined), tree);

export const missingFiles = (tree: unknown, cwd: string): Problem[] =>
  FILE_KEYS.flatMap((path) => {
    const value = valueAt(tree, path);
    const missing = typeof value === 'string' && value !== '' && !isReadableFile(resolve(cwd, value));
    return missing ? [{ path, message: 'there is no such file, or it cannot be read' }] : [];
  });
