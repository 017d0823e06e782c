/** The bare relay's front: node:http, CONNECT answered, TLS in process. Whoever uses it brings the way onward. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';

export interface Onward {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Flat list, Proxy-Authorization and Connection taken out. */
  readonly headers: string[];
}

export type Forward = (request: IncomingMessage, response: ServerResponse, onward: Onward) => void;

const HOP_BY_HOP = new Set(['proxy-authorization', 'connection']);

const endToEnd = (raw: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
};

/** The program's arguments: port, PEM file of the leaf and its key shown to clients, PEM file of the authority of targets. */
export const relayArguments = () => {
  const [port = '0', leafFile = '', rootsFile = ''] = process.argv.slice(2);
  return { port: Number(port), leafFile, rootsFile };
};

export const serveRelay = (forward: Forward): void => {
  const { port, leafFile } = relayArguments();
  const leaf = readFileSync(leafFile);
  const secureContext = createSecureContext({ cert: leaf, key: leaf });
  const authorities = new WeakMap<Duplex, string>();

  const relay = (request: IncomingMessage, response: ServerResponse): void => {
    const inside = authorities.get(request.socket);
    const url = new URL(inside === undefined ? (request.url ?? '/') : `https://${inside}${request.url}`);
    forward(request, response, {
      scheme: inside === undefined ? 'http' : 'https',
      host: url.hostname,
      port: Number(url.port),
      path: url.pathname + url.search,
      headers: endToEnd(request.rawHeaders),
    });
  };

  const server = createServer({ keepAliveTimeout: 60_000 }, relay);
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const inner = new TLSSocket(socket as never, { isServer: true, secureContext });
    authorities.set(inner, request.url ?? '');
    inner.on('error', () => inner.destroy());
    server.emit('connection', inner);
  });
  server.listen(port, '127.0.0.1');
  process.once('SIGTERM', () => process.exit(0));
};
