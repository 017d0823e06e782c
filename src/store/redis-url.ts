/** Reads the `store` setting: which Redis, how to log in, and how to call it without its password. */

export interface RedisPlace {
  readonly host: string;
  readonly port: number;
}

export interface RedisLocation {
  /** One server, or the nodes to learn a cluster from. */
  readonly nodes: readonly RedisPlace[];
  readonly cluster: boolean;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** For messages: no credentials. */
  readonly shown: string;
}

const LOCATION = /^(redis|rediss|redis\+cluster):\/\/(?:(.*)@)?([^@/]+)(?:\/(\d*))?$/s;
const NODE = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/;
const DEFAULT_PORT = 6379;

const readNode = (text: string): RedisPlace => {
  const match = NODE.exec(text);
  if (!match) throw new Error('store: no valid host and port');
  return { host: (match[1] ?? match[2]) as string, port: match[3] === undefined ? DEFAULT_PORT : Number(match[3]) };
};

/** Percent-encoded, or as it stands where it is not. */
const decoded = (text: string | undefined): string | undefined => {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const readLogin = (login: string | undefined): Pick<RedisLocation, 'username' | 'password'> => {
  if (login === undefined) return { username: undefined, password: undefined };
  const colon = login.indexOf(':');
  if (colon < 0) return { username: undefined, password: decoded(login) };
  return { username: decoded(login.slice(0, colon)), password: decoded(login.slice(colon + 1)) };
};

/** Throws for text that is no Redis URL; `undefined` for `memory`. */
export const readRedisUrl = (store: string): RedisLocation | undefined => {
  if (store === 'memory') return undefined;
  const match = LOCATION.exec(store);
  if (!match) throw new Error('store: neither memory nor a Redis URL');
  const [, scheme, login, hosts = '', db] = match;
  return {
    nodes: hosts.split(',').map(readNode),
    cluster: scheme === 'redis+cluster',
    tls: scheme === 'rediss',
    ...readLogin(login),
    db: db === undefined || db === '' ? 0 : Number(db),
    shown: hosts,
  };
};
