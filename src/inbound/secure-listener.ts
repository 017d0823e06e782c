/** The second port, where the way to the proxy is itself TLS (T-21): what is decrypted is served like any other connection. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { ContextReady } from './authority.ts';
import { attachLink } from './link.ts';
import { type Malformed, malformed } from './request-head.ts';
import { giveUp, peekByte, TLS_RECORD, terminateTls } from './terminate.ts';

export interface SecurePorts {
  readonly host: string;
  readonly port: number;
  /** A first byte, the turn of the certificate and the handshake together have this long. */
  readonly handshakeMs: number;
  /** Context with a leaf for the names of this proxy. */
  whenReady(done: ContextReady): void;
  /** Serves a decrypted connection as HTTP. */
  feed(socket: Socket): void;
  /** Answers a client that speaks no TLS, and closes. */
  malformed(socket: Socket, flaw: Malformed): void;
}

export interface SecureListener {
  /** Rejects when the address cannot be bound. */
  listen(): Promise<AddressInfo>;
  /** Stops accepting; unfinished handshakes are cut. Resolves when the last connection is gone. */
  close(): Promise<void>;
  /** Cuts whatever is still open. */
  destroy(): void;
}

export const makeSecureListener = (ports: SecurePorts): SecureListener => {
  const open = new Set<Socket>();
  const shaking = new Set<Socket>();

  const accept = (socket: Socket): void => {
    open.add(socket);
    shaking.add(socket);
    socket.on('error', giveUp);
    const deadline = setTimeout(() => socket.destroy(), ports.handshakeMs);
    socket.once('close', () => {
      clearTimeout(deadline);
      open.delete(socket);
      shaking.delete(socket);
    });
    peekByte(socket, (byte) => {
      if (byte === TLS_RECORD) ports.whenReady((error, context) => meet(socket, deadline, error, context));
      else turnAway(socket);
    });
  };

  const meet = (socket: Socket, deadline: NodeJS.Timeout, ...[error, context]: Parameters<ContextReady>): void => {
    if (error || !context || socket.destroyed) {
      socket.destroy();
      return;
    }
    // HTTP/2 is offered inside tunnels only: a proxy is spoken to in HTTP/1.1.
    terminateTls(socket, { context, alpn: ['http/1.1', 'http/1.0'], deadlineMs: ports.handshakeMs }, (secure) => {
      clearTimeout(deadline);
      shaking.delete(socket);
      attachLink(secure, undefined, false, undefined);
      ports.feed(secure);
    });
  };

  /** The mistake of a client told `http://` for this port: it sees why, where a handshake failure would tell it nothing. */
  const turnAway = (socket: Socket): void => {
    attachLink(socket, undefined, false, undefined);
    ports.malformed(socket, malformed('no TLS on the TLS port'));
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  server.on('connection', accept);

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(ports.port, ports.host, () => {
          server.removeListener('error', reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of shaking) socket.destroy();
      }),
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
};
