/**
 * The origin, in a process of its own: fixed answers over plain TCP and over TLS. Its plain port also plays the upstream proxy:
 * it answers absolute-form requests itself and takes CONNECT as an invitation to speak TLS.
 */
import { type AddressInfo, createServer as createNetServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { answerOf, BODY_BYTES } from './payload.ts';
import type { OriginPorts } from './protocol.ts';

const both = (bytes: number) => ({ more: answerOf(bytes, false), last: answerOf(bytes, true) });
const SMALL = both(BODY_BYTES['1k']);
const LARGE = both(BODY_BYTES['100k']);
const CLOSE = /\r\nConnection: close\r\n/i;
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
/** The request line fits into this many bytes. */
const LINE_BYTES = 64;

const endsHead = (chunk: Buffer): boolean =>
  chunk.length >= 4 &&
  chunk[chunk.length - 1] === 10 &&
  chunk[chunk.length - 3] === 10 &&
  chunk[chunk.length - 2] === 13;

/** A body that never ends, as fast as it is taken. */
const pour = (socket: Socket): void => {
  socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n');
  const block = Buffer.alloc(65_536, 'x');
  const more = (): void => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on('drain', more);
  more();
};

const serve = (socket: Socket, onConnect: ((socket: Socket) => void) | undefined): void => {
  let pending: Buffer | undefined;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  const onData = (chunk: Buffer): void => {
    const request = pending ? Buffer.concat([pending, chunk]) : chunk;
    if (!endsHead(request)) {
      pending = request;
      return;
    }
    pending = undefined;
    const line = request.toString('latin1', 0, LINE_BYTES);
    if (onConnect && line.startsWith('CONNECT ')) {
      socket.off('data', onData);
      socket.write(ESTABLISHED);
      onConnect(socket);
      return;
    }
    if (line.includes('/endless')) {
      pour(socket);
      return;
    }
    const answers = line.includes('/100k') ? LARGE : SMALL;
    if (CLOSE.test(request.toString('latin1'))) socket.end(answers.last);
    else socket.write(answers.more);
  };
  socket.on('data', onData);
};

const listen = (server: Server, port: number, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });

const start = async (certificate: string, key: string): Promise<OriginPorts> => {
  const tlsServer = createTlsServer({ cert: certificate, key, ALPNProtocols: ['http/1.1'] }, (s) =>
    serve(s, undefined),
  );
  tlsServer.on('tlsClientError', () => undefined);
  const plainServer = createNetServer((socket) => serve(socket, (tunnel) => tlsServer.emit('connection', tunnel)));
  return { plain: await listen(plainServer, 0, '127.0.0.1'), tls: await listen(tlsServer, 0, '127.0.0.1') };
};

process.once('message', (message: { certificate: string; key: string }) => {
  start(message.certificate, message.key).then(
    (ports) => process.send?.(ports),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
process.once('disconnect', () => process.exit(0));
