/** Where a function stands, short enough for a table. */
import { relative, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** A path inside the project from its root, one inside a package from the package's name, another as it is. */
export const shortPlace = (path: string): string => {
  if (!path.startsWith('/')) return path;
  const packageAt = path.lastIndexOf('/node_modules/');
  return packageAt < 0 ? relative(ROOT, path) : path.slice(packageAt + '/node_modules/'.length);
};
