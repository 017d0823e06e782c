/**
 * The bare relay, as a program: node:http in front, `http.request` behind, TLS in process, no features. What Node itself costs.
 * Arguments: port, PEM file of the leaf and its key shown to clients, PEM file of the authority of targets.
 */
import { readFileSync } from 'node:fs';
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request as requestPlain,
  type ServerResponse,
} from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';

const [port = '0', leafFile = '', rootsFile = ''] = process.argv.slice(2);
const leaf = readFileSync(leafFile);
const secureContext = createSecureContext({ cert: leaf, key: leaf });
const plainAgent = new Agent({ keepAlive: true });
const tlsAgent = new TlsAgent({ keepAlive: true, ca: readFileSync(rootsFile) });
const authorities = new WeakMap<Duplex, string>();

const relay = (request: IncomingMessage, response: ServerResponse): void => {
  const inside = authorities.get(request.socket);
  const url = new URL(inside === undefined ? (request.url ?? '/') : `https://${inside}${request.url}`);
  const send = inside === undefined ? requestPlain : requestTls;
  const options: RequestOptions = {
    host: url.hostname,
    port: url.port,
    path: url.pathname + url.search,
    method: request.method ?? 'GET',
    headers: request.rawHeaders.filter((_, at, all) => all[at - (at % 2)] !== 'Proxy-Authorization'),
    agent: inside === undefined ? plainAgent : tlsAgent,
  };
  const onward = send(options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
};

const server = createServer({ keepAliveTimeout: 60_000 }, relay);
server.on('connect', (request: IncomingMessage, socket: Duplex) => {
  socket.write('HTTP/1.1 200 OK\r\n\r\n');
  const inner = new TLSSocket(socket as never, { isServer: true, secureContext });
  authorities.set(inner, request.url ?? '');
  inner.on('error', () => inner.destroy());
  server.emit('connection', inner);
});
server.listen(Number(port), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
