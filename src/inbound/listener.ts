/** The listening server: connections become conversations, whose events pass http-mitm-proxy's hooks. Home of http-mitm-proxy. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Proxy as Interceptor } from 'http-mitm-proxy';
import type { BodySource, Clock } from '../pipeline/ports.ts';
import type { Answer } from './answer.ts';
import type { ClientRequest } from './client-request.ts';
import { Conversation, type ConversationParts } from './conversation.ts';
import { linger } from './link.ts';
import type { Malformed } from './request-head.ts';

export interface Hooks {
  connection(socket: Socket): void;
  connect(request: ClientRequest, socket: Socket, head: Buffer): void;
  request(request: ClientRequest, body: BodySource, answer: Answer): void;
  /** Bytes that are no request. */
  malformed(socket: Socket, flaw: Malformed): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Bytes of a whole request head (T-11). */
  readonly maxHeaderBytes: number;
  /** A head must be complete this long after its first byte (robustness G01). */
  readonly headMs: number;
  /** An idle connection is closed after this long. */
  readonly idleMs: number;
  readonly clock: Clock;
  /** Whether nothing runs on a connection: asked when the listener closes. */
  isIdle(socket: Socket): boolean;
}

export interface Listener {
  /** Rejects when the address cannot be bound. */
  listen(): Promise<AddressInfo>;
  /** Serves a connection that did not come through the port: the inside of a tunnel. */
  feed(socket: Socket): void;
  /** Stops accepting; idle connections are closed. Resolves when the last one is gone. */
  close(): Promise<void>;
  /** Cuts whatever is still open. */
  destroy(): void;
}

/**
 * Only the package's hook registry is used. Its own `listen` would make a CA of its own, its forwarding would write files
 * from host names, open a port per host and leave upgrades unauthenticated: none of it is ever reached, because the one
 * `onConnect` and the one `onRequest` registered here take every event and never hand it back.
 */
class Front extends Interceptor {
  /** What its hooks were registered with, typed as what is really given to them. */
  events(hooks: Pick<Hooks, 'connect' | 'request'>): Pick<Hooks, 'connect' | 'request'> {
    this.onConnect((request, socket, head) => hooks.connect(request as never, socket as Socket, head as Buffer));
    this.onRequest(({ clientToProxyRequest, proxyToClientResponse }) => {
      const { body, answer } = proxyToClientResponse as never as { body: BodySource; answer: Answer };
      hooks.request(clientToProxyRequest as never, body, answer);
    });
    const [connect] = this.onConnectHandlers;
    const [request] = this.onRequestHandlers;
    if (!connect || !request) throw new Error('the hooks were not registered');
    const never = (): void => undefined;
    return {
      connect: (incoming, socket, head) => connect.call(this, incoming as never, socket, head, never),
      request: (incoming, body, answer) =>
        request.call(this, { clientToProxyRequest: incoming, proxyToClientResponse: { body, answer } } as never, never),
    };
  }
}

/** How often deadlines are looked at; they are kept that exactly: one may pass this much too early. */
const sweepMs = ({ headMs, idleMs }: ListenerOptions): number => Math.min(5_000, headMs, idleMs) / 2;

export const makeListener = (options: ListenerOptions, hooks: Hooks): Listener => {
  const open = new Set<Socket>();
  const talks = new Set<Conversation>();
  let nowMs = performance.now();
  const sweep = (): void => {
    nowMs = performance.now();
    for (const talk of talks) if (talk.dueAt <= nowMs) talk.late();
  };
  const sweeping = setInterval(sweep, sweepMs(options));
  sweeping.unref();

  const parts: ConversationParts = {
    hooks: {
      ...new Front().events(hooks),
      malformed: hooks.malformed,
      ended: (talk) => talks.delete(talk),
    },
    clock: options.clock,
    maxHeadBytes: options.maxHeaderBytes,
    headMs: options.headMs,
    idleMs: options.idleMs,
    keepLines: `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor((options.idleMs - sweepMs(options)) / 1000)}\r\n`,
    coarseNow: () => nowMs,
  };
  const track = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  const feed = (socket: Socket): void => {
    if (!open.has(socket)) track(socket);
    talks.add(new Conversation(socket, parts));
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  server.on('connection', (socket: Socket) => {
    track(socket);
    hooks.connection(socket);
    feed(socket);
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(options.port, options.host, () => {
          server.removeListener('error', reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    feed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          clearInterval(sweeping);
          resolve();
        });
        for (const socket of open) {
          if (!options.isIdle(socket)) continue;
          // The client may still be taking its last answer.
          if (socket.writableLength > 0) linger(socket);
          else socket.destroy();
        }
      }),
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
};
