/** The listening server: http-mitm-proxy's hooks on a `node:http` server whose limits are ours. Home of http-mitm-proxy. */
import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Proxy as Interceptor } from 'http-mitm-proxy';

export interface Hooks {
  connection(socket: Socket): void;
  connect(request: IncomingMessage, socket: Socket, head: Buffer): void;
  request(request: IncomingMessage, response: ServerResponse): void;
  /** Whether a request that asks for another protocol is given to `upgrade`, its connection with it; else it is an ordinary one. */
  mayUpgrade(request: IncomingMessage): boolean;
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Bytes that are no request. `code` is Node's parser code. */
  malformed(socket: Socket, code: string): void;
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
  serve(server: Server): void {
    this.httpServer = server;
    const [connect] = this.onConnectHandlers;
    const [request] = this.onRequestHandlers;
    if (!connect || !request) throw new Error('the hooks must be registered before serving');
    const never = (): void => undefined;
    server.on('connect', (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
      connect.call(this, incoming, socket as Socket, head, never),
    );
    server.on('request', (incoming: IncomingMessage, response: ServerResponse) =>
      request.call(this, { clientToProxyRequest: incoming, proxyToClientResponse: response } as never, never),
    );
  }
}

/**
 * Asks for each request whether Node is to give its connection up for another protocol: with an `upgrade` listener Node does so
 * for any protocol, even for a request whose body is still to come, which nobody could read then.
 */
const upgradable = (mayUpgrade: Hooks['mayUpgrade']): typeof IncomingMessage =>
  class extends IncomingMessage {
    private asks = false;
    private verdict: boolean | undefined = undefined;

    get upgrade(): boolean {
      if (!this.asks) return false;
      this.verdict ??= this.method === 'CONNECT' || mayUpgrade(this);
      return this.verdict;
    }

    set upgrade(asks: boolean | null) {
      if (asks) this.asks = true;
    }
  };

export const makeListener = (options: ListenerOptions, hooks: Hooks): Listener => {
  const open = new Set<Socket>();
  const server = createServer({
    maxHeaderSize: options.maxHeaderBytes,
    // Explicitly strict, so that a flag or NODE_OPTIONS of the operator cannot loosen it (robustness A03).
    insecureHTTPParser: false,
    IncomingMessage: upgradable(hooks.mayUpgrade),
    requireHostHeader: false,
    // A held request may keep its body unread for as long as pacing asks (P-10); stalls are timed where the body is read.
    requestTimeout: 0,
    headersTimeout: options.headMs,
    keepAliveTimeout: options.idleMs,
    connectionsCheckingInterval: Math.min(5_000, options.headMs),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  // Otherwise Node silently drops lines past about a thousand (T-11).
  server.maxHeadersCount = 0;

  const front = new Front();
  front.onConnect((incoming, socket, head) => hooks.connect(incoming, socket as Socket, head as Buffer));
  front.onRequest((context) => hooks.request(context.clientToProxyRequest, context.proxyToClientResponse));
  front.serve(server);

  const track = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  server.prependListener('connection', (socket: Socket) => {
    if (open.has(socket)) return;
    track(socket);
    hooks.connection(socket);
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) =>
    hooks.upgrade(incoming, socket as Socket, head),
  );
  // T-17: `100 Continue` is written when the body is first wanted, so the answer may come before any upload.
  server.on('checkContinue', (incoming: IncomingMessage, response: ServerResponse) =>
    hooks.request(incoming, response),
  );
  server.on('checkExpectation', (incoming: IncomingMessage, response: ServerResponse) =>
    hooks.request(incoming, response),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    hooks.malformed(socket as Socket, error.code ?? ''),
  );

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(options.port, options.host, () => {
          server.removeListener('error', reject);
          resolve(server.address() as AddressInfo);
        });
      }),
    feed(socket) {
      if (!open.has(socket)) track(socket);
      server.emit('connection', socket);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) if (options.isIdle(socket)) socket.destroy();
      }),
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
};
