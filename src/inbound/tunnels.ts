/** CONNECT: answered without touching the target, then opened here: TLS is terminated, plain HTTP taken as it is. */
import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import { isControlHeader } from '../model/controls.ts';
import { Refusal } from '../model/errors.ts';
import { countOf, type HeaderList, lastValue } from '../model/headers.ts';
import type { Account, NameSuffix, Tunnel } from '../model/job.ts';
import { parseAuthority } from '../policy/route.ts';
import type { ContextReady } from './authority.ts';
import type { ClientRequest } from './client-request.ts';
import { WRONG_KEY } from './intake.ts';
import { attachLink, delegateLink, type Link, linkOf } from './link.ts';
import { giveUp, peekByte, TLS_RECORD, terminateTls } from './terminate.ts';

export interface TunnelPorts {
  authenticate(value: string | undefined): { account: Account; suffix: NameSuffix } | undefined;
  /** Leaf for the CONNECT host, valid for the client's SNI too (T-07); a new one may take a few turns of the event loop. */
  whenReady(host: string, sni: string | undefined, done: ContextReady): void;
  /** Serves the inside of a tunnel as HTTP. */
  feed(socket: Socket): void;
  /** Serves it as HTTP/2, where that was agreed on. */
  feedH2(socket: TLSSocket): void;
  /** Writes a refusal of a CONNECT and then closes, or calls `goOn`: the connection may carry another one after a 407. */
  refuse(socket: Socket, refusal: Refusal, goOn: (() => void) | undefined): void;
  /** What a handshake that begins now offers, the preferred one first. */
  alpn(): readonly string[];
  /** For a first byte, and then for the handshake. */
  readonly handshakeMs: number;
  readonly idleMs: number;
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

export const makeTunnels = (ports: TunnelPorts) => {
  const onConnect = (request: ClientRequest, socket: Socket, head: Buffer): void => {
    ownErrors(socket);
    const link = linkOf(socket);
    try {
      const tunnel = readConnect(request, link, ports.authenticate);
      socket.write(ESTABLISHED);
      if (head.length > 0) socket.unshift(head);
      sniff(socket, tunnel);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const keep = error.condition === 'bad_auth' && head.length === 0 && request.httpVersion === '1.1';
      ports.refuse(socket, error, keep ? () => ports.feed(socket) : undefined);
    }
  };

  /** The first byte decides: a TLS record or plain HTTP, as browsers send for `ws://` (T-10). */
  const sniff = (socket: Socket, tunnel: Tunnel): void => {
    socket.setTimeout(ports.idleMs, () => socket.destroy());
    peekByte(socket, (byte) => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      if (byte === TLS_RECORD) {
        terminate(socket, tunnel);
        return;
      }
      attachLink(socket, tunnel, false, undefined);
      ports.feed(socket);
    });
    socket.resume();
  };

  const terminate = (socket: Socket, tunnel: Tunnel): void => {
    ports.whenReady(tunnel.host, undefined, (error, context) => {
      if (error || !context || socket.destroyed) socket.destroy();
      else handshake(socket, tunnel, context);
    });
  };

  const handshake = (socket: Socket, tunnel: Tunnel, context: SecureContext): void => {
    // The raw socket has no requests of its own any more: only the inside counts (see `isIdle`).
    delegateLink(socket);
    // Without a context the connection keeps its own leaf: the CONNECT host's, or where no certificate can carry the name.
    const sni = (name: string, give: ContextReady): void => {
      if (name.toLowerCase() === tunnel.host) give(null);
      else ports.whenReady(tunnel.host, name, (error, fitting) => (error ? give(null) : give(null, fitting)));
    };
    terminateTls(socket, { context, alpn: ports.alpn(), sni, deadlineMs: ports.handshakeMs }, (secure) => {
      const name = secure.servername;
      attachLink(secure, tunnel, true, name && name.toLowerCase() !== tunnel.host ? name : undefined);
      if (secure.alpnProtocol === 'h2') ports.feedH2(secure);
      else ports.feed(secure);
    });
  };

  return { onConnect };
};

/** Whatever happens to this socket from here on, it is destroyed, never thrown about. */
const ownErrors = (socket: Socket): void => {
  if (!socket.listeners('error').includes(giveUp)) socket.on('error', giveUp);
};

/** T-04 to T-06, U-05, U-06: refuses only what cannot be read and who is not known. */
const readConnect = (request: ClientRequest, link: Link, authenticate: TunnelPorts['authenticate']): Tunnel => {
  const headers = request.rawHeaders;
  // A body would arrive as the first bytes of the tunnel and be sent to the target (robustness A04).
  if (countOf(headers, 'content-length') + countOf(headers, 'transfer-encoding') > 0) {
    throw new Refusal('invalid_request', { reason: 'CONNECT with a body' });
  }
  if (link.tunnel) throw new Refusal('invalid_request', { reason: 'CONNECT in a tunnel' });
  const key = lastValue(headers, 'proxy-authorization');
  const known = authenticate(key);
  if (!known) throw new Refusal('bad_auth', { reason: key === undefined ? 'no key' : WRONG_KEY });
  const authority = parseAuthority(request.url, undefined);
  if (!authority) throw new Refusal('invalid_request', { reason: 'CONNECT without a readable host:port' });
  return {
    account: known.account,
    suffix: known.suffix,
    host: authority.host,
    port: authority.port,
    headers: controlsOnly(headers),
  };
};

const controlsOnly = (headers: HeaderList): HeaderList => {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (isControlHeader((headers[i] as string).toLowerCase()))
      kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
};
