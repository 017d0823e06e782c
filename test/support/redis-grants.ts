/** Reads from a Redis which turns its scripts granted at a website, and when by its own clock: nobody's noting can be late. */
import { connect, type Socket } from 'node:net';
import { Redis } from 'ioredis';

export interface Grant {
  /** Redis' time when the script ran, milliseconds since 1970. */
  readonly at: number;
  readonly upstream: string;
  readonly account: string;
}

export interface GrantLog {
  /** All since it was read last, in the order of the turns. */
  read(): Promise<readonly Grant[]>;
  close(): void;
}

/** What a script writes of a website at its end; a turn's number, its account's `G` and the used upstream are among it. */
const readGrant = (fields: readonly string[]): Grant | undefined => {
  const names = fields.filter((_, i) => i % 2 === 0);
  const values = fields.filter((_, i) => i % 2 === 1);
  const account = names.find((name) => name.startsWith('G'))?.slice(1);
  if (account === undefined || !names.includes('turn')) return undefined;
  let upstream = '';
  let at = 0;
  for (const [i, name] of names.entries()) {
    const usedAt = Number((values[i] as string).split(' ')[3]);
    if (!name.startsWith('u') || !(usedAt > at)) continue;
    upstream = name.slice(1);
    at = usedAt;
  }
  return { at, upstream, account };
};

const QUOTED = /"((?:[^"\\]|\\.)*)"/g;

/** What MONITOR tells, a call with its words at a time; those of scripts are among them. */
const watchCalls = async (port: number, seen: (words: readonly string[]) => void): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  const started = new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      const lines = (text + chunk.toString('latin1')).split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '+OK') resolve();
        else seen([...line.matchAll(QUOTED)].map((match) => match[1] as string));
      }
    });
  });
  socket.write('MONITOR\r\n');
  await started;
  return socket;
};

export const watchGrants = async (port: number, website: string): Promise<GrantLog> => {
  const admin = new Redis(port, '127.0.0.1');
  const waiting = new Map<string, () => void>();
  let grants: Grant[] = [];
  let reads = 0;
  const monitor = await watchCalls(port, ([command = '', key = '', ...fields]) => {
    if (/^echo$/i.test(command)) waiting.get(key)?.();
    if (!/^hset$/i.test(command) || !key.endsWith(`:site:${website}`)) return;
    const grant = readGrant(fields);
    if (grant) grants.push(grant);
  });
  return {
    read: async () => {
      const mark = `read ${++reads}`;
      const seen = new Promise<void>((resolve) => waiting.set(mark, resolve));
      await admin.echo(mark);
      await seen;
      const all = grants;
      grants = [];
      return all;
    },
    close: () => {
      monitor.destroy();
      admin.disconnect();
    },
  };
};

/** Pauses between neighbours. */
export const gapsOf = (times: readonly number[]): number[] => times.slice(1).map((at, i) => at - (times[i] as number));
