/** The proxy port as a whole: listener, tunnels and front joined. */
import type { AddressInfo, Socket } from 'node:net';
import type { Authority } from './authority.ts';
import { type FrontPorts, makeFront } from './front.ts';
import { attachLink, isIdle } from './link.ts';
import { type ListenerOptions, makeListener } from './listener.ts';
import { makeTunnels } from './tunnels.ts';

export interface DoorPorts extends FrontPorts {
  readonly authority: Authority;
  readonly listen: Omit<ListenerOptions, 'isIdle'>;
  /** A TLS handshake inside a tunnel has this long. */
  readonly handshakeMs: number;
}

export interface Door {
  open(): Promise<AddressInfo>;
  /** Accepts nothing new; resolves when the last connection has ended by itself. */
  close(): Promise<void>;
  /** Cuts every connection that is left. */
  destroy(): void;
}

export const makeDoor = (ports: DoorPorts): Door => {
  const front = makeFront(ports);
  const listener = makeListener(
    { ...ports.listen, isIdle },
    {
      connection: (socket: Socket) => attachLink(socket, undefined, false, undefined),
      connect: (request, socket, head) => tunnels.onConnect(request, socket, head),
      request: front.onRequest,
      malformed: front.onMalformed,
    },
  );
  const tunnels = makeTunnels({
    authenticate: (value) => ports.entrance().authenticate(value),
    whenReady: ports.authority.whenReady,
    feed: listener.feed,
    refuse: front.refuseConnect,
    // T-08: plugins compare header names by case, which HTTP/2 would lower.
    alpn: ['http/1.1'],
    handshakeMs: ports.handshakeMs,
    idleMs: ports.listen.idleMs,
  });
  return { open: listener.listen, close: listener.close, destroy: listener.destroy };
};
