/** The folder of `data`: made when it is not there, and kept to one process where that process alone has the state. */
import { mkdirSync } from 'node:fs';
import { type FolderLock, lockFolder } from './folder-lock.ts';

/** Throws with a line for the operator. */
export const makeDataFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(`data: ${folder} cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
};

/** Rejects when another process keeps its state in this folder. Processes that share a Redis may share the folder. */
export const holdDataFolder = async (
  { store, data }: { readonly store: string; readonly data: string },
  report: (problem: string) => void,
): Promise<FolderLock | undefined> => {
  if (store !== 'memory') return undefined;
  makeDataFolder(data);
  return lockFolder(data, report);
};
