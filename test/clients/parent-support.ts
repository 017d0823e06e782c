/** Squid and privoxy from their example configurations, with a town's crawlgate as their parent, and curl in front. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { startRealProxy } from '../support/real-proxies.ts';
import type { Town } from './kit.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../examples');

export interface Edit {
  /** Stands in the example, or the test fails. */
  readonly from: string;
  readonly to: string;
}

/** An example with its ports, key and paths filled in. */
const fill = (file: string, edits: readonly Edit[]): string =>
  edits.reduce(
    (text, { from, to }) => {
      if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
      return text.replace(from, to);
    },
    readFileSync(join(EXAMPLES, file), 'utf8'),
  );

export interface Parent {
  /** Runs curl through the child proxy, trusting crawlgate's CA. */
  curl(...args: string[]): Promise<Exit>;
}

const curlThrough = (town: Town, port: number): Parent => ({
  curl: (...args) => run('curl', ['-sS', '-x', `http://127.0.0.1:${port}`, '--cacert', town.caFile, ...args]),
});

export interface SquidOptions {
  /** As `cache_peer` has it; the town's key without one. */
  readonly login?: string;
  readonly edits?: readonly Edit[];
}

export const startSquid = async (town: Town, { login, edits = [] }: SquidOptions = {}): Promise<Parent> => {
  const text = (folder: string, port: number): string =>
    fill('squid/squid.conf', [
      ...edits,
      { from: 'login=CRAWLGATE_API_KEY:', to: `login=${login ?? `${town.key}:`}` },
      { from: 'parent 8010', to: `parent ${town.proxy.port}` },
      { from: '127.0.0.1:3128', to: `127.0.0.1:${port}` },
      { from: '/run/squid-crawlgate.pid', to: join(folder, 'squid.pid') },
      { from: '/var/log/squid/', to: `${folder}/` },
    ]);
  const squid = await startRealProxy('squid', { text });
  onTestFinished(() => squid.close());
  return curlThrough(town, squid.port);
};

export interface PrivoxyOptions {
  /** In place of the town's. */
  readonly key?: string;
  /** No key of its own: that of the program goes on. */
  readonly passing?: boolean;
}

const HEADER = '+add-header{Proxy-Authorization: Basic CRAWLGATE_LOGIN}';
const PASSING: readonly Edit[] = [{ from: 'forward /', to: 'enable-proxy-authentication-forwarding 1\nforward /' }];

export const startPrivoxy = async (town: Town, { key, passing }: PrivoxyOptions = {}): Promise<Parent> => {
  const login = Buffer.from(`${key ?? town.key}:`).toString('base64');
  const header = passing ? '' : HEADER.replace('CRAWLGATE_LOGIN', login);
  const text = (folder: string, port: number): string => {
    const action = fill('privoxy/crawlgate.action', [{ from: HEADER, to: header }]);
    writeFileSync(join(folder, 'crawlgate.action'), action);
    return fill('privoxy/config', [
      ...(passing ? PASSING : []),
      { from: '127.0.0.1:8118', to: `127.0.0.1:${port}` },
      { from: 'confdir .', to: `confdir ${folder}` },
      { from: '127.0.0.1:8010', to: town.address },
    ]);
  };
  const privoxy = await startRealProxy('privoxy', { text });
  onTestFinished(() => privoxy.close());
  return curlThrough(town, privoxy.port);
};
