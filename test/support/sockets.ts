/** Small helpers of the test servers: listen on a free port, keep track of sockets, wait for something to become true. */
import type { AddressInfo, Server, Socket } from 'node:net';

export interface Listening {
  readonly port: number;
  /** Sockets open right now. */
  readonly open: ReadonlySet<Socket>;
  /** Sockets ever accepted. */
  accepted(): number;
  close(): Promise<void>;
}

/** Starts `server` on a free port of `host` and owns its sockets until `close`. */
export const listen = async (server: Server, host = '127.0.0.1'): Promise<Listening> => {
  const open = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    open,
    accepted: () => accepted,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
};

/** Resolves as soon as `check` holds; rejects after `ms` with what was waited for. */
export const until = async (check: () => boolean, what = 'condition', ms = 3_000): Promise<void> => {
  const deadline = performance.now() + ms;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};
