/** What the tests of transport and framing share: one proxy and one target a file, and small raw conversations. */
import { connect, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { AUTH, type Line, openLine } from '../support/client.ts';
import { makeOrigin, type Origin, type OriginOptions, reply } from '../support/origin.ts';
import { type RunningProxy, startProxy } from '../support/proxy.ts';
import { listen } from '../support/sockets.ts';

export interface Stage {
  readonly proxy: RunningProxy;
  /** A plain target; its record is emptied before each test. */
  readonly origin: Origin;
  /** `shop.localhost:port`. */
  readonly authority: string;
  /** `http://shop.localhost:port`. */
  readonly site: string;
}

interface StageOptions {
  readonly yaml?: () => string;
  readonly origin?: () => OriginOptions;
}

/** Call once a test file, at its top level. Every test must leave `proxy.bugs` empty. */
export const makeStage = ({ yaml = () => '', origin: options = () => ({}) }: StageOptions = {}): Stage => {
  let proxy: RunningProxy;
  let origin: Origin;
  beforeAll(async () => {
    origin = await makeOrigin(options());
    proxy = await startProxy(yaml());
  });
  beforeEach(() => {
    origin.requests.length = 0;
    origin.fallback = [reply('hello')];
  });
  afterEach(() => expect(proxy.bugs).toEqual([]));
  afterAll(async () => {
    await proxy.close();
    await origin.close();
  });
  return {
    get proxy() {
      return proxy;
    },
    get origin() {
      return origin;
    },
    get authority() {
      return `shop.localhost:${origin.port}`;
    },
    get site() {
      return `http://shop.localhost:${origin.port}`;
    },
  };
};

/** Header lines of a proxied request to the stage's target. */
export const headFor = ({ site, authority }: Stage, path = '/', more = '', method = 'GET'): string =>
  `${method} ${site}${path} HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}${more}\r\n`;

/** All that comes back for `bytes` until the proxy closes; rejects when it keeps the connection for 5 s. */
export const everything = (port: number, bytes: string | Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`not closed after ${JSON.stringify(bytes.toString())}: ${JSON.stringify(text)}`));
    }, 5_000);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });

/** Statuses of all answers in `text`, in order. */
export const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g)].map((match) => Number(match[1]));

/** Opens a line, writes and leaves the reading to the test; closed by `cleanUp` at the end of the test. */
export const makeLines = (): ((port: number) => Promise<Line>) => {
  const open: Line[] = [];
  afterEach(() => {
    for (const line of open.splice(0)) line.socket.destroy();
  });
  return async (port) => {
    const line = await openLine(port);
    open.push(line);
    return line;
  };
};

/** A promise and the function that fulfils it. */
export const gate = (): { readonly passed: Promise<void>; open(): void } => {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
};

/** A port of loopback where nobody listens. */
export const freeLoopbackPort = async (): Promise<number> => {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
};
