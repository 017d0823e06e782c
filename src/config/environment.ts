/** Environment variables that win over the file. An empty variable counts as unset. */
import { isMapping, type Path, pathText } from './parsed.ts';
import type { Environment } from './secrets.ts';

type Tree = Record<string, unknown>;

export interface Overlaid {
  readonly tree: unknown;
  /** Which variable a path (as `pathText` writes it) came from. */
  readonly origins: ReadonlyMap<string, string>;
}

const VARIABLES: readonly (readonly [name: string, section: string | undefined, key: string])[] = [
  ['CRAWLGATE_HOST', 'listen', 'host'],
  ['CRAWLGATE_PORT', 'listen', 'port'],
  ['CRAWLGATE_ADMIN_KEY', 'admin', 'key'],
  ['CRAWLGATE_STORE', undefined, 'store'],
];

const readVariable = (name: string, env: Environment): string | number | undefined => {
  const value = env[name];
  if (!value) return undefined;
  if (name !== 'CRAWLGATE_PORT') return value;
  // Kubernetes sets this variable to an address of its own when a service is called crawlgate.
  if (value.startsWith('tcp://')) return undefined;
  return /^\d{1,5}$/.test(value) ? Number(value) : value;
};

/** CRAWLGATE_API_KEY is the key of the only account, else of the account `default`, which it makes when there is none. */
const withApiKey = (accounts: unknown, key: string): { list: unknown; index: number } => {
  const list = accounts ?? [];
  if (!Array.isArray(list)) return { list, index: -1 };
  const named = list.findIndex((account) => isMapping(account) && (account['id'] ?? 'default') === 'default');
  const index = list.length === 1 ? 0 : named < 0 ? list.length : named;
  const { keySha256: _, ...rest } = isMapping(list[index]) ? list[index] : { id: 'default' };
  return { list: list.toSpliced(index, 1, { ...rest, key }), index };
};

/** Puts the variables over a tree read from the file. */
export const overlayEnvironment = (tree: unknown, env: Environment): Overlaid => {
  const origins = new Map<string, string>();
  if (!isMapping(tree)) return { tree, origins };
  const result: Tree = { ...tree };
  const note = (path: Path, name: string): void => {
    origins.set(pathText(path), name);
  };
  for (const [name, section, key] of VARIABLES) {
    const value = readVariable(name, env);
    if (value === undefined) continue;
    const home = section === undefined ? result : (result[section] ?? {});
    if (!isMapping(home)) continue;
    if (section === undefined) result[key] = value;
    else result[section] = { ...home, [key]: value };
    note(section === undefined ? [key] : [section, key], name);
  }
  const apiKey = env['CRAWLGATE_API_KEY'];
  if (apiKey) {
    const { list, index } = withApiKey(result['accounts'], apiKey);
    result['accounts'] = list;
    note(['accounts', index, 'key'], 'CRAWLGATE_API_KEY');
  }
  return { tree: result, origins };
};
