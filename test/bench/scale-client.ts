/** The client of the scale measurements, in a process of its own: opens many connections at once and keeps them. */
import { connect as connectTcp, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { CREDENTIALS, MANY_HOSTS } from './protocol.ts';

export type ScaleOrder =
  /** TLS tunnels to hosts `first` to `first + count - 1`, with one request in each or idle; kept open or not. */
  | {
      readonly type: 'tunnels';
      readonly first: number;
      readonly count: number;
      readonly atOnce: number;
      readonly request: boolean;
      readonly keep: boolean;
    }
  /** Plain requests to one slow website, sent and left waiting. */
  | { readonly type: 'hold'; readonly count: number; readonly host: string }
  /** One endless body read at so many bytes a second. */
  | { readonly type: 'slow'; readonly bytesPerSecond: number; readonly seconds: number }
  | { readonly type: 'drop' };

export interface ScaleSetup {
  readonly port: number;
  readonly ca: string;
}

export interface ScaleAnswer {
  readonly done: number;
  readonly failed: number;
  readonly firstError: string | undefined;
  readonly tookMs: number;
}

const STEP_MS = 60_000;
const kept: Socket[] = [];
let answered = 0;
let setup: ScaleSetup = { port: 0, ca: '' };
let secureContext: SecureContext | undefined;

const credentials = `Proxy-Authorization: ${CREDENTIALS}\r\n`;

const dial = (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connectTcp({ port: setup.port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.on('error', reject);
    socket.setTimeout(STEP_MS, () => socket.destroy(new Error('no answer in time')));
  });

/** Writes, and resolves with what came first in return. */
const exchange = (socket: Socket, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
    socket.write(bytes);
  });

const secure = (socket: Socket, servername: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    secureContext ??= createSecureContext({ ca: setup.ca });
    const tls = connectTls({ socket, servername, secureContext }, () => resolve(tls));
    tls.on('error', reject);
  });

const expectOk = (answer: string): void => {
  if (!/^HTTP\/1\.[01] 200/.test(answer)) throw new Error(answer.slice(0, 200).replaceAll('\r\n', ' | '));
};

const tunnel = async (number: number, request: boolean): Promise<Socket> => {
  const host = `h${number}.${MANY_HOSTS}`;
  const socket = await dial();
  expectOk(await exchange(socket, `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n${credentials}\r\n`));
  const tls = await secure(socket, host);
  if (request) expectOk(await exchange(tls, `GET /1k HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  socket.setTimeout(0);
  tls.resume();
  return tls;
};

/** Runs `count` tasks, so many at once; the first failure's text is kept. */
const many = async (count: number, atOnce: number, task: (n: number) => Promise<void>): Promise<ScaleAnswer> => {
  const begun = performance.now();
  let next = 0;
  let failed = 0;
  let firstError: string | undefined;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const mine = next++;
      try {
        await task(mine);
      } catch (error) {
        failed++;
        firstError ??= error instanceof Error ? error.message : String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { done: count - failed, failed, firstError, tookMs: performance.now() - begun };
};

const hold = (host: string) => async (): Promise<void> => {
  const socket = await dial();
  socket.setTimeout(0);
  socket.on('data', () => {
    answered++;
  });
  socket.write(`GET http://${host}/1k HTTP/1.1\r\nHost: ${host}\r\n${credentials}\r\n`);
  kept.push(socket);
};

const slow = async (bytesPerSecond: number, seconds: number): Promise<ScaleAnswer> => {
  const socket = await dial();
  const host = `slow.${MANY_HOSTS}`;
  let bytes = 0;
  const begun = performance.now();
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    socket.pause();
  });
  socket.write(`GET http://${host}/endless HTTP/1.1\r\nHost: ${host}\r\n${credentials}\r\n`);
  for (const until = Date.now() + seconds * 1000; Date.now() < until; await sleep(10)) {
    const due = ((performance.now() - begun) / 1000) * bytesPerSecond;
    if (bytes < due) socket.resume();
  }
  kept.push(socket);
  return { done: bytes, failed: 0, firstError: undefined, tookMs: performance.now() - begun };
};

/** Tells how many connections were open and without an answer to a held request. */
const drop = (): ScaleAnswer => {
  const count = kept.length - answered;
  answered = 0;
  for (const socket of kept.splice(0)) socket.on('error', () => undefined).destroy();
  return { done: count, failed: 0, firstError: undefined, tookMs: 0 };
};

const obey = (order: ScaleOrder): Promise<ScaleAnswer> | ScaleAnswer => {
  switch (order.type) {
    case 'tunnels':
      return many(order.count, order.atOnce, async (n) => {
        const socket = await tunnel(order.first + n, order.request);
        if (order.keep) kept.push(socket);
        else socket.destroy();
      });
    case 'hold':
      return many(order.count, 100, hold(order.host));
    case 'slow':
      return slow(order.bytesPerSecond, order.seconds);
    default:
      return drop();
  }
};

process.on('message', (message: ScaleSetup | ScaleOrder) => {
  if (!('type' in message)) {
    setup = message;
    return;
  }
  Promise.resolve(obey(message)).then(
    (answer) => process.send?.(answer),
    (error: Error) =>
      process.send?.({ done: 0, failed: 1, firstError: error.message, tookMs: 0 } satisfies ScaleAnswer),
  );
});
process.once('disconnect', () => process.exit(0));
