/** Reads back what a keeper wrote; a file may hold anything. */
import { readFileSync } from 'node:fs';

export const isText = (value: unknown): value is string => typeof value === 'string';
export const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** What the file holds; `undefined` when there is none. One that cannot be used is reported, its contents never. */
export const readKept = <T>(
  what: string,
  file: string,
  isKept: (value: unknown) => value is T,
  report: (problem: string) => void,
): T | undefined => {
  let text: string | undefined;
  try {
    text = readText(file);
  } catch (error) {
    report(`${what} cannot be read from ${file}: ${String((error as NodeJS.ErrnoException).code)}`);
    return undefined;
  }
  const kept = text === undefined ? undefined : parse(text);
  if (isKept(kept)) return kept;
  if (text !== undefined) report(`${file} is damaged: ${what} from before the start are lost`);
  return undefined;
};
