/** Stands between a client and crawlgate, hands every byte on, and keeps what the client said first on each connection. */
import { connect, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { listen } from '../../support/sockets.ts';

export interface Tap {
  readonly address: string;
  /** What clients sent, a text per connection, in order of arrival; inside tunnels it is TLS. */
  readonly said: readonly string[];
}

const KEPT = 64 * 1024;

/** Closed when the test is over. */
export const tap = async (port: number): Promise<Tap> => {
  const said: string[] = [];
  const server = createServer((client) => {
    const place = said.push('') - 1;
    const proxy = connect(port, '127.0.0.1');
    client.on('data', (bytes: Buffer) => {
      const text = said[place] ?? '';
      if (text.length < KEPT) said[place] = text + bytes.toString('latin1');
    });
    client.pipe(proxy).pipe(client);
    client.on('close', () => proxy.destroy());
    proxy.on('error', () => {}).on('close', () => client.destroy());
  });
  const listening = await listen(server);
  onTestFinished(() => listening.close());
  return { address: `127.0.0.1:${listening.port}`, said };
};
