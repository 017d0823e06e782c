/** Runs the Node examples and scripts beside them as child processes, where a count of their connections is kept. */
import { connect, createServer } from 'node:net';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { listen } from '../support/sockets.ts';
import type { Handler, Town } from './kit.ts';

const ROOT = resolve(import.meta.dirname, '../..');

export const WRONG_KEY = 'n0-such-key';

export interface NodeOptions {
  readonly key?: string;
  /** `host:port` */
  readonly proxy?: string;
  readonly caFile?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const environment = (town: Town, { key, proxy, caFile, env }: NodeOptions): Record<string, string> => ({
  CRAWLGATE_PROXY: proxy ?? town.address,
  CRAWLGATE_API_KEY: key ?? town.key,
  CRAWLGATE_CA: caFile ?? town.caFile,
  ...env,
});

/** One of `examples/node`, as a reader would run it. */
export const runExample = (town: Town, name: string, address: string, options: NodeOptions = {}): Promise<Exit> =>
  run('node', [`examples/node/${name}.mjs`, address], { cwd: ROOT, env: environment(town, options) });

/** A module given as text; packages are found as from the project's folder, `process.argv[1]` on are `args`. */
export const runScript = (
  town: Town,
  source: string,
  args: readonly string[],
  options: NodeOptions = {},
): Promise<Exit> =>
  run('node', ['--input-type=module', '--eval', source, ...args], { cwd: ROOT, env: environment(town, options) });

/** Answers with what it was asked: method, path, body. */
export const echo: Handler = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => response.end(`saw ${request.method} ${request.url} ${Buffer.concat(chunks)}`));
};

export interface Door {
  /** `host:port` */
  readonly address: string;
  /** The first word of each connection, a method that is. */
  readonly opened: readonly string[];
}

/** A door in front of the proxy that notes who comes in. */
export const startDoor = async (town: Town): Promise<Door> => {
  const opened: string[] = [];
  const door = await listen(
    createServer((client) => {
      const inside = connect(town.proxy.port, '127.0.0.1');
      inside.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.on('close', () => inside.destroy());
      client.once('data', (chunk: Buffer) => opened.push(chunk.toString('latin1').split(' ', 1).join()));
      client.pipe(inside).pipe(client);
    }),
  );
  onTestFinished(() => door.close());
  return { address: `127.0.0.1:${door.port}`, opened };
};
