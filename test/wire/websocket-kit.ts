/** What the WebSocket tests share: handshakes as raw text, and targets that accept them. */
import type { Socket } from 'node:net';
import { type Answer, AUTH, type Line, openLine } from '../support/client.ts';
import type { RunningProxy } from '../support/proxy.ts';
import { type Listening, until } from '../support/sockets.ts';
import { rawServer, type WireKit } from './errors-kit.ts';

/** As Chromium orders them. */
export const HANDSHAKE = [
  'Connection: Upgrade',
  'Pragma: no-cache',
  'Upgrade: websocket',
  'Origin: http://shop.localhost',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
  '',
].join('\r\n');

export const SWITCHED = [
  'HTTP/1.1 101 Switching Protocols',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  '',
  '',
].join('\r\n');

/** In absolute form, with a key. */
export const handshakeTo = (port: number, more = '', auth = AUTH): string =>
  `GET http://shop.localhost:${port}/chat HTTP/1.1\r\nHost: shop.localhost:${port}\r\n${auth}${more}${HANDSHAKE}\r\n`;

export interface Target extends Listening {
  /** The latest connection, once its handshake was read and answered; nothing else reads it. */
  socket(): Promise<Socket>;
  /** Everything received on all connections. */
  received(): string;
}

/** Accepts every handshake; `first` is written in one piece with the 101. */
export const acceptingTarget = async (kit: WireKit, first = ''): Promise<Target> => {
  let latest: Socket | undefined;
  let received = '';
  const listening = kit.closing(
    await rawServer((socket) => {
      let head = '';
      const read = (chunk: Buffer): void => {
        received += chunk.toString('latin1');
        head += chunk.toString('latin1');
        if (latest === socket || !head.includes('\r\n\r\n')) return;
        latest = socket;
        socket.write(SWITCHED + first);
      };
      socket.on('data', read);
    }),
  );
  return {
    ...listening,
    received: () => received,
    async socket() {
      await until(() => latest !== undefined, 'a handshake');
      return latest as Socket;
    },
  };
};

export interface Joined {
  readonly line: Line;
  readonly answer: Answer;
  /** The target's end. */
  readonly far: Socket;
}

/** A client joined with `target`. */
export const join = async (proxy: RunningProxy, target: Target, more = ''): Promise<Joined> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(handshakeTo(target.port, more));
  if (answer.status !== 101) throw new Error(`answered ${answer.status}`);
  return { line, answer, far: await target.socket() };
};
