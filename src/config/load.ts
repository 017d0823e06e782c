/** Reads the configuration file and the environment into `Settings`, or says everything that is wrong. Home of yaml. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml';
import type { Settings } from '../model/settings.ts';
import { buildSettings } from './build.ts';
import { overlayEnvironment } from './environment.ts';
import { missingFiles } from './missing-files.ts';
import { type Path, pathText } from './parsed.ts';
import { relationProblems } from './relations.ts';
import { DEFAULTS, readShape } from './schema.ts';
import { type Environment, resolveSecrets } from './secrets.ts';

export interface LoadOptions {
  /** Path of the file, relative to `cwd`. */
  readonly file: string;
  /** Whether somebody named the file: then it has to exist. */
  readonly explicit: boolean;
  readonly env: Environment;
  readonly cwd: string;
}

/** Settings, or every mistake as `file:line: path: message`. No message holds a value of the configuration. */
export type Loaded =
  | { readonly settings: Settings; readonly errors: readonly [] }
  | { readonly settings: undefined; readonly errors: readonly string[] };

export const DEFAULT_FILE = 'config/crawlgate.yaml';

/** Which file to read: the command line's, else CRAWLGATE_CONFIG, else the default, which may be absent. */
export const configFile = (given: string | undefined, env: Environment): Pick<LoadOptions, 'file' | 'explicit'> => {
  const named = given ?? (env['CRAWLGATE_CONFIG'] || undefined);
  return { file: named ?? DEFAULT_FILE, explicit: named !== undefined };
};

const MOST_BYTES = 16 * 1024 * 1024;
const MOST_ALIASES = 100;

/** A parsed file: its plain values, and where each stands. */
export interface Source {
  readonly tree: unknown;
  readonly errors: readonly Located[];
  lineOf(path: Path): number | undefined;
}

interface Located {
  readonly line: number | undefined;
  readonly text: string;
}

const keyOf = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** Offset of the deepest part of a path that is in the file; a key's rather than its value's. */
const offsetOf = (document: Document, path: Path): number | undefined => {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0];
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node) ? node.items.find(({ key }) => keyOf(key) === String(part)) : undefined;
    const item = isSeq(node) ? node.items[Number(part)] : undefined;
    const place = pair ? pair.key : item;
    if (!place) return offset;
    offset = (place as { range?: readonly number[] }).range?.[0] ?? offset;
    node = pair ? pair.value : item;
  }
  return offset;
};

/** Path of the key that stands at an offset. */
const pathAt = (node: unknown, offset: number, above: Path = []): Path | undefined => {
  if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) {
      const found = pathAt(item, offset, [...above, i]);
      if (found) return found;
    }
  }
  if (!isMap(node)) return undefined;
  for (const { key, value } of node.items) {
    const path = [...above, keyOf(key)];
    if ((key as { range?: readonly number[] }).range?.[0] === offset) return path;
    const found = pathAt(value, offset, path);
    if (found) return found;
  }
  return undefined;
};

const SYNTAX_WORDS: Readonly<Record<string, string>> = {
  IMPOSSIBLE: 'nested too deeply to be read',
  RESOURCE_EXHAUSTION: 'nested too deeply to be read',
  MULTIPLE_DOCS: 'a second document (---) begins here; the file has one',
};

/** The parser's own words up to where they begin to quote the file. */
const syntaxText = (error: YAMLError, document: Document): string => {
  if (error.code !== 'DUPLICATE_KEY') return SYNTAX_WORDS[error.code] ?? error.message.replace(/(?::| \\).*/s, '');
  return `${pathText(pathAt(document.contents, error.pos[0]) ?? [])}: this key stands here twice`;
};

const parseSource = (text: string): Source => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const errors = [...document.errors, ...document.warnings].map((error) => ({
    line: lineAt(error.pos[0]),
    text: syntaxText(error, document),
  }));
  const readable = document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  return {
    tree: readable ? (document.toJS({ maxAliasCount: MOST_ALIASES }) ?? {}) : undefined,
    errors,
    lineOf: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? undefined : lineAt(offset);
    },
  };
};

const unreadable = (text: string): Source => ({
  tree: undefined,
  errors: [{ line: undefined, text }],
  lineOf: () => undefined,
});

export const readSource = ({ file, explicit, cwd }: LoadOptions): Source => {
  try {
    const bytes = readFileSync(resolve(cwd, file));
    if (bytes.length > MOST_BYTES) return unreadable('the file has more than 16 MiB');
    return parseSource(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !explicit) return { tree: {}, errors: [], lineOf: () => undefined };
    if (code === 'ENOENT') return unreadable('there is no such file');
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return unreadable('the file is not UTF-8 text');
    if (error instanceof ReferenceError)
      return unreadable('an alias (*name) has no anchor, or the file has too many aliases');
    if (error instanceof RangeError) return unreadable('the file is nested too deeply');
    return unreadable(`the file cannot be read (${code ?? 'unknown'})`);
  }
};

const MOST_ERRORS = 200;

const failed = (lines: readonly string[]): Loaded => {
  const errors = [...new Set(lines)];
  const more = errors.length - MOST_ERRORS;
  return { settings: undefined, errors: more > 0 ? [...errors.slice(0, MOST_ERRORS), `and ${more} more`] : errors };
};

/** Loads, checks everything at once, and never throws for what a file or a variable holds. */
export const loadSettings = (options: LoadOptions): Loaded => {
  const { file, env, cwd } = options;
  const source = readSource(options);
  const inFile = ({ line, text }: Located): string => `${file}:${line === undefined ? '' : `${line}:`} ${text}`;
  if (source.tree === undefined) return failed(source.errors.map(inFile));
  const overlaid = overlayEnvironment(source.tree, env);
  const secrets = resolveSecrets(overlaid.tree, env, cwd);
  const { shape, problems } = readShape(secrets.tree);
  const unresolved = new Set(secrets.problems.map(({ path }) => pathText(path)));
  const others = [...problems, ...relationProblems(secrets.tree, DEFAULTS), ...missingFiles(secrets.tree, cwd)];
  const all = [...secrets.problems, ...others.filter(({ path }) => !unresolved.has(pathText(path)))];
  if (shape && all.length === 0 && source.errors.length === 0)
    return { settings: buildSettings(shape, cwd), errors: [] };
  const located = all.map(({ path, message }) => {
    const at = pathText(path);
    const variable = overlaid.origins.get(at);
    const text = at === '' ? message : `${at}: ${message}`;
    if (variable) return { line: Number.MAX_SAFE_INTEGER, error: `environment ${variable}: ${text}` };
    const line = source.lineOf(path);
    return { line: line ?? 0, error: inFile({ line, text }) };
  });
  const syntax = source.errors.map((error) => ({ line: error.line ?? 0, error: inFile(error) }));
  const sorted = [...syntax, ...located].sort((a, b) => a.line - b.line);
  return failed(sorted.map(({ error }) => error));
};
