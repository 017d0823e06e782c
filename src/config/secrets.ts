/** Secrets by reference: `env:NAME` and `file:PATH` wherever a string stands. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fine, isMapping, type Parsed, type Path, type Problem, wrong } from './parsed.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A tree with every reference resolved; one that cannot be keeps its place. */
export interface Resolved {
  readonly tree: unknown;
  readonly problems: readonly Problem[];
}

const MOST_CHARACTERS = 64 * 1024;
/** Far beyond any key of the configuration. */
const MOST_LEVELS = 16;

const fromEnvironment = (name: string, env: Environment): Parsed<string> => {
  if (!/^[A-Za-z_]\w{0,100}$/.test(name)) return wrong('expected the name of an environment variable after env:');
  const value = env[name];
  return value ? fine(value) : wrong(`the environment variable ${name} is not set`);
};

const fromFile = (path: string, cwd: string): Parsed<string> => {
  try {
    const content = readFileSync(resolve(cwd, path), 'utf8').replace(/[\r\n]+$/, '');
    if (content.length > MOST_CHARACTERS) return wrong('the file of a secret has at most 64 KiB');
    return content === '' ? wrong('the file of this secret is empty') : fine(content);
  } catch (error) {
    return wrong(`the file of this secret cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
};

const dereference = (text: string, env: Environment, cwd: string): Parsed<string> => {
  if (text.startsWith('env:')) return fromEnvironment(text.slice(4), env);
  return text.startsWith('file:') ? fromFile(text.slice(5), cwd) : fine(text);
};

/** Resolves references and drops keys without a value, which count as absent. */
export const resolveSecrets = (tree: unknown, env: Environment, cwd: string): Resolved => {
  const problems: Problem[] = [];
  const visit = (value: unknown, path: Path): unknown => {
    if (path.length > MOST_LEVELS) {
      problems.push({ path: path.slice(0, 4), message: 'nested too deeply' });
      return undefined;
    }
    if (Array.isArray(value)) return value.map((item, i) => visit(item, [...path, i]));
    if (isMapping(value)) {
      const present = Object.entries(value).filter(([, child]) => child !== null);
      return Object.fromEntries(present.map(([key, child]) => [key, visit(child, [...path, key])]));
    }
    if (typeof value !== 'string') return value;
    const secret = dereference(value, env, cwd);
    if (secret.ok) return secret.value;
    problems.push({ path, message: secret.message });
    return value;
  };
  return { tree: visit(tree, []), problems };
};
