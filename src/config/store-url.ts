/** Where shared state lives: `memory` or the URL of a Redis. */
import { readHost } from './hosts.ts';
import { fine, type Parsed, wrong } from './parsed.ts';

const EXPECTED =
  'expected memory, redis://[:password@]host:port/db, rediss://... or redis+cluster://host:port,host:port';

const STORE_URL = /^(redis|rediss|redis\+cluster):\/\/(?:(.*)@)?([^@/]+)(?:\/(\d{1,5})?)?$/s;
const NODE = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d{1,5}))?$/;

const DEFAULT_PORT = 6379;

const isNode = (text: string): boolean => {
  const match = NODE.exec(text);
  if (!match || readHost(match[1] as string) === undefined) return false;
  const port = match[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  return port >= 1 && port <= 65_535;
};

/** Checks the shape and hands the text on; the store reads it. */
export const parseStoreUrl = (value: unknown): Parsed<string> => {
  if (value === 'memory') return fine(value);
  const match = typeof value === 'string' ? STORE_URL.exec(value) : null;
  if (!match) return wrong(EXPECTED);
  const nodes = (match[3] as string).split(',');
  if (!nodes.every(isNode)) return wrong('the store has no valid host and port');
  if (nodes.length > 1 && match[1] !== 'redis+cluster') return wrong('several hosts need redis+cluster://');
  if (match[1] === 'redis+cluster' && match[4] !== undefined && match[4] !== '0')
    return wrong('a Redis cluster has no numbered databases');
  return fine(value as string);
};

/** Hosts and ports of the store; none for `memory`. */
export const storeNodes = (store: string): { readonly host: string; readonly port: number }[] => {
  const nodes = STORE_URL.exec(store)?.[3]?.split(',') ?? [];
  return nodes.flatMap((node) => {
    const [, host = '', port] = NODE.exec(node) ?? [];
    const known = readHost(host);
    return known === undefined ? [] : [{ host: known, port: port === undefined ? DEFAULT_PORT : Number(port) }];
  });
};

/** The store without its credentials, to show. */
export const showStore = (store: string): string => {
  const match = STORE_URL.exec(store);
  return match ? `${match[1]}://${match[3]}${match[4] === undefined ? '' : `/${match[4]}`}` : store;
};
