/** The proxy's ports as a whole: listeners, tunnels and front joined. */
import type { AddressInfo, Socket } from 'node:net';
import type { Authority } from './authority.ts';
import { type FrontPorts, makeFront } from './front.ts';
import { makeH2 } from './h2.ts';
import { attachLink, isIdle } from './link.ts';
import { type ListenerOptions, makeListener } from './listener.ts';
import { makeSecureListener } from './secure-listener.ts';
import { makeTunnels } from './tunnels.ts';

export interface DoorPorts extends FrontPorts {
  readonly authority: Authority;
  readonly listen: Omit<ListenerOptions, 'isIdle' | 'clock'>;
  /** Port of the second listener, which speaks TLS to the client (T-21). */
  readonly tlsPort: number | undefined;
  /** Names and addresses the certificate of that listener is for. */
  ownNames(): readonly string[];
  /** Whether tunnels offer HTTP/2 (T-08). */
  http2(): boolean;
  /** A TLS handshake has this long. */
  readonly handshakeMs: number;
}

/** Where the listeners are bound. */
export interface Opened {
  readonly plain: AddressInfo;
  readonly tls: AddressInfo | undefined;
}

export interface Door {
  /** Rejects when one of the addresses cannot be bound; then none stays bound. */
  open(): Promise<Opened>;
  /** Accepts nothing new; resolves when the last connection has ended by itself. */
  close(): Promise<void>;
  /** Cuts every connection that is left. */
  destroy(): void;
}

/** T-08: plugins compare header names by case, which HTTP/2 would lower. `curl --http1.0` offers http/1.0 alone. */
const HTTP1_ONLY = ['http/1.1', 'http/1.0'];
const BOTH = ['h2', ...HTTP1_ONLY];

export const makeDoor = (ports: DoorPorts): Door => {
  const front = makeFront(ports);
  const listener = makeListener(
    { ...ports.listen, clock: ports.clock, isIdle },
    {
      connection: (socket: Socket) => attachLink(socket, undefined, false, undefined),
      connect: (request, socket, head) => tunnels.onConnect(request, socket, head),
      request: front.onRequest,
      malformed: front.onMalformed,
    },
  );
  const h2 = makeH2({
    clock: ports.clock,
    maxHeaderBytes: ports.listen.maxHeaderBytes,
    idleMs: ports.listen.idleMs,
    draining: ports.draining,
    answer: front.onStream,
  });
  const tunnels = makeTunnels({
    authenticate: (value) => ports.entrance().authenticate(value),
    whenReady: ports.authority.whenReady,
    feed: listener.feed,
    refuse: front.refuseConnect,
    feedH2: h2.serve,
    alpn: () => (ports.http2() ? BOTH : HTTP1_ONLY),
    handshakeMs: ports.handshakeMs,
    idleMs: ports.listen.idleMs,
  });
  const secure =
    ports.tlsPort === undefined
      ? undefined
      : makeSecureListener({
          host: ports.listen.host,
          port: ports.tlsPort,
          handshakeMs: ports.handshakeMs,
          whenReady: (done) => ports.authority.whenReadyForAll(ports.ownNames(), done),
          feed: listener.feed,
          malformed: front.onMalformed,
        });
  return {
    async open() {
      const plain = await listener.listen();
      try {
        return { plain, tls: await secure?.listen() };
      } catch (error) {
        await listener.close();
        throw error;
      }
    },
    async close() {
      h2.close();
      await Promise.all([listener.close(), secure?.close()]);
    },
    destroy() {
      listener.destroy();
      secure?.destroy();
    },
  };
};
