/** Compares the header lines a client sent through a relay with those that reached the other side (F-04). */
import { type AddressInfo, connect, createServer } from 'node:net';

const SENT = [
  'X-First: 1',
  'accept: */*',
  'HOST: @',
  'X-oDd-CaSe: a',
  'Cookie: b=1',
  'X-oDd-CaSe: c',
  'user-agent: bench',
];
const WAIT_MS = 5000;

const describe = (sent: readonly string[], arrived: readonly string[]): string => {
  if (sent.join('\n') === arrived.join('\n')) return 'exactly as sent';
  const added = arrived.filter((line) => !sent.includes(line));
  const lost = sent.filter((line) => !arrived.includes(line));
  const order =
    arrived.filter((line) => sent.includes(line)).join('\n') ===
    sent.filter((line) => arrived.includes(line)).join('\n');
  return [
    added.length > 0 ? `adds ${added.map((line) => `\`${line}\``).join(', ')}` : '',
    lost.length > 0 ? `loses ${lost.map((line) => `\`${line}\``).join(', ')}` : '',
    order ? '' : 'other order',
  ]
    .filter(Boolean)
    .join('; ');
};

/** One plain request through the proxy on this port; resolves with a phrase on what became of its header lines. */
export const wireCheck = (proxyPort: number): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => finish(() => reject(new Error('the relay sent no request on'))), WAIT_MS);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (!text.includes('\r\n\r\n')) return;
        const arrived = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n').slice(1);
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        finish(() => resolve(describe(sentLines(), arrived)));
      });
    });
    const authority = (): string => `localhost:${(server.address() as AddressInfo).port}`;
    const sentLines = (): string[] => SENT.map((line) => line.replace('@', authority()));
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
      server.close();
    };
    server.listen(0, '127.0.0.1', () => {
      const socket = connect(proxyPort, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`GET http://${authority()}/ HTTP/1.1\r\n${sentLines().join('\r\n')}\r\n\r\n`);
      socket.resume();
    });
  });
