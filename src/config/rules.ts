/** Loads the ban rules: the built-in file, and an own one merged over it (A-08). */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BanRule } from '../policy/ban-rule.ts';
import { readSource } from './load.ts';
import { type Path, pathText } from './parsed.ts';
import { type Entry, isRule, readRules } from './rules-schema.ts';

/** Shipped with the program; the same place seen from `src` and from `dist`. */
export const BUILT_IN_FILE = fileURLToPath(new URL('../../config/ban-rules.yaml', import.meta.url));

/** All rules in order, own ones among them, or every mistake as `file:line: path: message`. */
export type LoadedRules =
  | { readonly rules: readonly BanRule[]; readonly own: ReadonlySet<string>; readonly errors: readonly [] }
  | { readonly rules: undefined; readonly errors: readonly string[] };

type Entries =
  | { entries: readonly Entry[]; lineOf: (path: Path) => number | undefined }
  | { errors: readonly string[] };

const entriesOf = (file: string, cwd: string, trusted: boolean): Entries => {
  const source = readSource({ file, explicit: true, cwd, env: {} });
  const located = (line: number | undefined, text: string): string =>
    `${file}:${line === undefined ? '' : `${line}:`} ${text}`;
  if (source.tree === undefined || source.errors.length > 0)
    return { errors: source.errors.map(({ line, text }) => located(line, text)) };
  const { entries, problems } = readRules(source.tree, trusted);
  if (entries) return { entries, lineOf: source.lineOf };
  const lines = problems.map(({ path, message }) => ({ line: source.lineOf(path), path, message }));
  lines.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return {
    errors: lines.map(({ line, path, message }) =>
      located(line, path.length === 0 ? message : `${pathText(path)}: ${message}`),
    ),
  };
};

/** Own rules first, in their order; one with a built-in rule's id takes that rule's place instead. */
const merge = (own: readonly Entry[], builtIn: readonly BanRule[]): BanRule[] => {
  const byId = new Map(own.map((entry) => [entry.id, entry]));
  const known = new Set(builtIn.map(({ id }) => id));
  const replaced = builtIn.map((rule): BanRule => {
    const entry = byId.get(rule.id);
    if (!entry) return rule;
    return isRule(entry) ? entry : { ...rule, enabled: entry.enabled };
  });
  return [...own.filter(isRule).filter(({ id }) => !known.has(id)), ...replaced];
};

interface Kept {
  readonly mark: string;
  readonly entries: Entries;
}

/** The built-in file hardly ever changes while the program runs. */
const makeBuiltIn = (): (() => Entries) => {
  let kept: Kept | undefined;
  return () => {
    const stat = statSync(BUILT_IN_FILE, { throwIfNoEntry: false });
    const mark = `${stat?.mtimeMs} ${stat?.size}`;
    if (kept?.mark !== mark) kept = { mark, entries: entriesOf(BUILT_IN_FILE, '/', true) };
    return kept.entries;
  };
};

const builtInEntries = makeBuiltIn();

/** Never throws. `file` relative to `cwd`; none = the built-in rules alone. */
export const loadRules = (file: string | undefined, cwd = process.cwd()): LoadedRules => {
  const builtIn = builtInEntries();
  if ('errors' in builtIn) return { rules: undefined, errors: builtIn.errors };
  const rules = builtIn.entries.filter(isRule);
  if (file === undefined || resolve(cwd, file) === BUILT_IN_FILE) return { rules, own: new Set(), errors: [] };
  const own = entriesOf(file, cwd, false);
  if ('errors' in own) return { rules: undefined, errors: own.errors };
  const unknown = own.entries.flatMap((entry, i) =>
    isRule(entry) || rules.some(({ id }) => id === entry.id)
      ? []
      : [`${file}:${own.lineOf(['rules', i]) ?? ''}: rules[${i}]: there is no built-in rule of this id to switch`],
  );
  if (unknown.length > 0) return { rules: undefined, errors: unknown };
  return { rules: merge(own.entries, rules), own: new Set(own.entries.map(({ id }) => id)), errors: [] };
};
