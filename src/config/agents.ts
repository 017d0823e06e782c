/** Loads the lists of user agents: the built-in file, and an own one in its place (G-05). */
import { fileURLToPath } from 'node:url';
import { type Agent, type Agents, agentList, isHandheld } from '../model/agents.ts';
import { readEntry } from './agent-entry.ts';
import { readSource } from './load.ts';
import { isMapping, type Path, type Problem, pathText } from './parsed.ts';

/** Shipped with the program; the same place seen from `src` and from `dist`. */
export const BUILT_IN_AGENTS_FILE = fileURLToPath(new URL('../../config/user-agents.yaml', import.meta.url));

/** Both lists, or every mistake as `file:line: path: message`. */
export type LoadedAgents =
  | { readonly agents: Agents; readonly errors: readonly [] }
  | { readonly agents: undefined; readonly errors: readonly string[] };

type Kind = keyof Agents;
type Found = Partial<Record<Kind, readonly Agent[]>>;

const KINDS: readonly Kind[] = ['desktop', 'mobile'];
const MOST_ENTRIES = 10_000;
const MOST_ERRORS = 50;

const kindOf = (agent: Agent): Kind => (isHandheld(agent) ? 'mobile' : 'desktop');

const readList = (value: unknown, at: Path, problems: Problem[]): Agent[] => {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_ENTRIES) {
    problems.push({ path: at, message: `expected a list of 1 to ${MOST_ENTRIES} user agents` });
    return [];
  }
  const [kind] = at;
  return value.flatMap((entry, i) => {
    const agents = readEntry(entry, [...at, i], problems);
    if (kind !== undefined && agents.some((agent) => kindOf(agent) !== kind))
      problems.push({ path: [...at, i], message: `this browser is not a ${kind} one` });
    return agents;
  });
};

/** A plain list is sorted into the two by what its strings say. */
const readPlain = (tree: unknown, problems: Problem[]): Found => {
  const agents = readList(tree, [], problems);
  const of = (kind: Kind): Found => {
    const own = agents.filter((agent) => kindOf(agent) === kind);
    return own.length === 0 ? {} : { [kind]: own };
  };
  return { ...of('desktop'), ...of('mobile') };
};

const readTree = (tree: unknown, problems: Problem[]): Found => {
  if (!isMapping(tree)) return readPlain(tree, problems);
  const found: Found = {};
  for (const [key, value] of Object.entries(tree)) {
    const kind = KINDS.find((one) => one === key);
    if (kind) found[kind] = readList(value, [kind], problems);
    else problems.push({ path: [key], message: 'unknown key (known here: desktop, mobile)' });
  }
  if (Object.keys(tree).length === 0) problems.push({ path: [], message: 'expected lists under desktop and mobile' });
  return found;
};

type Read = { readonly found: Found } | { readonly errors: readonly string[] };

const readFile = (file: string, cwd: string): Read => {
  const source = readSource({ file, explicit: true, cwd, env: {} });
  const located = (line: number | undefined, text: string): string =>
    `${file}:${line === undefined ? '' : `${line}:`} ${text}`;
  if (source.tree === undefined || source.errors.length > 0)
    return { errors: source.errors.map(({ line, text }) => located(line, text)) };
  const problems: Problem[] = [];
  const found = readTree(source.tree, problems);
  if (problems.length === 0) return { found };
  const errors = problems
    .map(({ path, message }) => ({ line: source.lineOf(path), path, message }))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
    .map(({ line, path, message }) => located(line, path.length === 0 ? message : `${pathText(path)}: ${message}`));
  const more = errors.length - MOST_ERRORS;
  return { errors: more > 0 ? [...errors.slice(0, MOST_ERRORS), `and ${more} more`] : errors };
};

/** Never throws. `file` relative to `cwd`; none = the built-in lists, as is a list the file does not have. */
export const loadAgents = (file: string | undefined, cwd = process.cwd()): LoadedAgents => {
  const builtIn = readFile(BUILT_IN_AGENTS_FILE, cwd);
  if ('errors' in builtIn) return { agents: undefined, errors: builtIn.errors };
  const own = file === undefined ? builtIn : readFile(file, cwd);
  if ('errors' in own) return { agents: undefined, errors: own.errors };
  const { desktop = [], mobile = [] } = { ...builtIn.found, ...own.found };
  return { agents: { desktop: agentList(desktop), mobile: agentList(mobile) }, errors: [] };
};
