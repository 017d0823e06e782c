/** TLS towards clients: the first byte that announces it, and the handshake, inside a tunnel or on a port of its own. */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { ContextReady } from './authority.ts';

export const TLS_RECORD = 0x16;

/** For an `end`, `error` or `timeout` of a socket that nobody serves yet. */
export function giveUp(this: Socket): void {
  this.destroy();
}

/** Waits for the first byte and leaves it unread; a client that ends instead is let go. The caller times it. */
export const peekByte = (socket: Socket, done: (byte: number | undefined) => void): void => {
  socket.once('end', giveUp);
  socket.once('data', (first: Buffer) => {
    socket.pause();
    socket.removeListener('end', giveUp);
    socket.unshift(first);
    done(first[0]);
  });
};

const wires = new WeakMap<Socket, Socket>();

/** The TCP connection below, however many layers of TLS are on it. */
export const wireOf = (socket: Socket): Socket => wires.get(socket) ?? socket;

export interface Terms {
  readonly context: SecureContext;
  readonly alpn: readonly string[];
  /** Another context for the name the client asks for; without one the handshake keeps `context`. */
  readonly sni?: (name: string, give: ContextReady) => void;
  readonly deadlineMs: number;
}

export type Terminated = TLSSocket & { servername?: string | false };

/** Shakes hands and hands the decrypted side over; whatever goes wrong before or after that closes both. */
export const terminateTls = (
  socket: Socket,
  { context, alpn, sni, deadlineMs }: Terms,
  done: (secure: Terminated) => void,
): void => {
  const secure: Terminated = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: [...alpn],
    ...(sni && { SNICallback: sni }),
  });
  wires.set(secure, wireOf(socket));
  const deadline = setTimeout(() => secure.destroy(), deadlineMs);
  secure.on('error', giveUp);
  secure.once('end', giveUp);
  secure.once('close', () => {
    clearTimeout(deadline);
    socket.destroy();
  });
  secure.once('secure', () => {
    clearTimeout(deadline);
    secure.removeListener('end', giveUp);
    done(secure);
  });
};
