/** How long an HTTP/2 connection lives: idle ones are let go, dead ones noticed, and after GOAWAY nobody is waited for long. */
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../pipeline/ports.ts';
import { wireOf } from './terminate.ts';

interface LifePorts {
  readonly clock: Clock;
  /** A connection without a stream is closed after this long. */
  readonly idleMs: number;
  draining(): boolean;
}

export interface Life {
  /** To be told of every stream at its beginning. */
  begin(stream: ServerHttp2Stream): void;
}

const PROBE_MS = 1_000;
/** How long a client may take to close its side after GOAWAY and the last answer. */
const LINGER_MS = 2_000;

/**
 * Node does not read while it writes, and its TLS loses the error of a write to a client that has just reset the connection:
 * such a session would stay for ever. So where nothing moved for a while, no bytes at all are written to the socket
 * below, which costs one system call and fails if it is dead.
 */
const makeProbe = (socket: TLSSocket) => {
  const wire = wireOf(socket);
  let moved = -1;
  let asked = false;
  return (): void => {
    const now = socket.bytesRead + socket.bytesWritten;
    if (now !== moved) {
      moved = now;
      return;
    }
    if (asked || wire.destroyed) return;
    asked = true;
    wire.write('', (error) => {
      asked = false;
      if (error) socket.destroy();
    });
  };
};

export const watchLife = (session: ServerHttp2Session, socket: TLSSocket, ports: LifePorts): Life => {
  const { clock, idleMs } = ports;
  const probe = makeProbe(socket);
  let streams = 0;
  let timer: Timer | undefined;
  const set = (ms: number, next: () => void): void => {
    timer?.cancel();
    timer = clock.after(ms, next);
  };
  const look = (): void => {
    probe();
    set(PROBE_MS, look);
  };
  const close = (): void => {
    session.close();
    set(LINGER_MS, () => socket.destroy());
  };
  const rest = (): void => {
    if (socket.destroyed) return;
    if (session.closed || ports.draining()) close();
    else set(idleMs, close);
  };
  socket.once('end', () => socket.destroy());
  socket.once('close', () => timer?.cancel());
  // By whomever it is closed, it must not wait for a client that never closes its side.
  socket.once('finish', () => set(LINGER_MS, () => socket.destroy()));
  rest();
  return {
    begin(stream) {
      if (++streams === 1) set(PROBE_MS, look);
      stream.once('close', () => {
        if (--streams === 0) rest();
      });
    },
  };
};
