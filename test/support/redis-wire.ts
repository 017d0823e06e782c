/** A cable between the store and its Redis that a test can slow down, freeze or cut. */
import { connect, createServer, type Socket } from 'node:net';

export interface RedisWire {
  readonly url: string;
  /** Answers arrive so much later from now on; `Infinity` = never. */
  delay(ms: number): void;
  /** Breaks all connections; new ones work. */
  cut(): void;
  connections(): number;
  close(): Promise<void>;
}

export const startWire = async (port: number): Promise<RedisWire> => {
  const pairs = new Set<readonly [Socket, Socket]>();
  let delayMs = 0;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = (): void => {
      near.destroy();
      far.destroy();
      pairs.delete(pair);
    };
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => {
      if (delayMs === 0) near.write(chunk);
      else if (delayMs !== Number.POSITIVE_INFINITY) setTimeout(() => near.writable && near.write(chunk), delayMs);
    });
    for (const socket of pair) socket.on('close', end).on('error', end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const [near] of pairs) near.destroy();
  };
  return {
    url: `redis://127.0.0.1:${(server.address() as { port: number }).port}/0`,
    delay: (ms) => {
      delayMs = ms;
    },
    cut,
    connections: () => pairs.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
};
