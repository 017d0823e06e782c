/** The Scrapy programs of these tests as child processes, and what they print. */
import { join } from 'node:path';
import { type Exit, run } from '../../support/child.ts';
import type { Town } from '../kit.ts';

/** The interpreter that Debian's packages belong to. */
const PYTHON = '/usr/bin/python3';
const EXAMPLE = join(import.meta.dirname, '../../../examples/scrapy/pages.py');
const ASK = join(import.meta.dirname, 'ask.py');

type Environment = Readonly<Record<string, string>>;

/** One line of the example spider. */
export interface Page {
  readonly url: string;
  readonly status?: number;
  readonly bytes?: number;
  readonly error?: string;
  readonly session?: string;
  readonly slave?: string;
  readonly failed?: string;
}

/** What became of one request of `ask.py`. */
export interface Asked {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly failed?: string;
  readonly causes?: string;
}

export interface AskRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Environment;
  readonly body?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

interface Told<T> {
  readonly told: T[];
  readonly exit: Exit;
}

const linesOf = <T>(exit: Exit): Told<T> => {
  const lines = exit.out.split('\n').filter((line) => line.startsWith('{'));
  return { told: lines.map((line) => JSON.parse(line) as T), exit };
};

export const python = (town: Town, args: readonly string[], env: Environment = {}): Promise<Exit> =>
  run(PYTHON, args, { cwd: town.folder, env: { PYTHONDONTWRITEBYTECODE: '1', ...env } });

/** `scrapy ...` on the command line. */
export const scrapy = (town: Town, args: readonly string[], env: Environment = {}): Promise<Exit> =>
  python(town, ['-m', 'scrapy', ...args], env);

/** The example as the documentation runs it. */
export const example = async (
  town: Town,
  urls: readonly string[],
  args: readonly string[] = [],
  env: Environment = {},
): Promise<Told<Page>> => {
  const own = { CRAWLGATE_PROXY: town.address, CRAWLGATE_API_KEY: town.key, CRAWLGATE_CA: town.caFile };
  const asked = ['runspider', EXAMPLE, '-a', `urls=${urls.join(',')}`, ...args];
  return linesOf(await scrapy(town, asked, { ...own, ...env }));
};

/** Requests one after the other, by Scrapy with `settings` and nothing else. */
export const ask = async (
  town: Town,
  requests: readonly AskRequest[],
  settings: Readonly<Record<string, unknown>> = {},
  env: Environment = {},
): Promise<Told<Asked>> => linesOf(await python(town, [ASK, JSON.stringify({ settings, requests })], env));
