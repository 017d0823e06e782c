/** TLS towards targets and https upstreams: one trust store for all, sessions remembered, every failure with its reason. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { connect, createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { ClosedEarly } from './faults.ts';
import type { Lifeline } from './lifeline.ts';

export interface TlsAsk {
  /** Name or address the certificate must be for. */
  readonly host: string;
  /** False only for `insecureTarget` (C-07). */
  readonly verify: boolean;
  /** Handshakes with the same key may resume each other's session; `undefined` = never. */
  readonly sessionKey: string | undefined;
  readonly explain: (error: unknown) => Error;
}

export interface Tls {
  /** Starts TLS on a connected socket; resolves once the peer is who it should be. */
  secure(line: Lifeline, socket: Socket, ask: TlsAsk): Promise<TLSSocket>;
}

/** Where distributions keep the system's roots; the first that exists is read. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const MAX_SESSIONS = 2_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const certificatesIn = (file: string): string[] => readFileSync(file, 'latin1').match(PEM) ?? [];

/** Node's bundled roots, the system's, and the operator's; each once. Throws when the operator's file holds none. */
const trustedRoots = (extraRoots: string | undefined): string[] => {
  const roots = new Map<string, string>();
  const add = (pem: string): void => {
    roots.set(pem.replace(/\s/g, ''), pem);
  };
  rootCertificates.forEach(add);
  const bundle = SYSTEM_BUNDLES.find((file) => existsSync(file));
  if (bundle !== undefined) certificatesIn(bundle).forEach(add);
  if (extraRoots === undefined) return [...roots.values()];
  const extra = certificatesIn(extraRoots);
  if (extra.length === 0) throw new Error(`targets.extraRoots: no certificate in ${extraRoots}`);
  extra.forEach(add);
  return [...roots.values()];
};

export const makeTls = (extraRoots: string | undefined): Tls => {
  const context: SecureContext = createSecureContext({ ca: trustedRoots(extraRoots) });
  const sessions = new LRUCache<string, Buffer>({ max: MAX_SESSIONS });

  const begin = (socket: Socket, { host, verify, sessionKey }: TlsAsk): TLSSocket => {
    const session = sessionKey === undefined ? undefined : sessions.get(sessionKey);
    const secured = connect({
      socket,
      host,
      secureContext: context,
      // SNI carries names only; without this Node would take the address for one.
      servername: isIP(host) === 0 ? host : '',
      rejectUnauthorized: verify,
      ALPNProtocols: ['http/1.1'],
      ...(session && { session }),
    });
    if (sessionKey !== undefined) secured.on('session', (ticket: Buffer) => sessions.set(sessionKey, ticket));
    return secured;
  };

  return {
    secure: (line, socket, ask) =>
      line.step<TLSSocket>(ask.explain, (done, fail) => {
        const secured = begin(socket, ask);
        line.own(secured);
        const ready = (): void => done(secured);
        const closed = (): void => fail(new ClosedEarly());
        secured.on('secureConnect', ready).on('error', fail).on('close', closed);
        return () => {
          secured.off('secureConnect', ready).off('error', fail).off('close', closed);
        };
      }),
  };
};
