/** Secure contexts with leaf certificates for the hosts that clients visit, made when first needed, kept within bounds. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { Refusal } from '../model/errors.ts';
import { type Issuer, toPem } from './certificate.ts';
import { leafBuilder } from './issuing.ts';
import { type LeafName, leafName } from './leaf-names.ts';

export interface LeafLimits {
  /** Leaves kept as DER, under 1 KB each. */
  readonly leaves: number;
  /** Ready contexts kept, about 24 KB outside the heap each. */
  readonly contexts: number;
}

export const LEAF_LIMITS: LeafLimits = { leaves: 10_000, contexts: 500 };

/** Forward secret, authenticated suites only (robustness E09); AES-128 first because bodies are long and it is the fastest. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
].join(':');

const SESSION_SECONDS = 3600;

interface KeptLeaf {
  /** Bytes as a Latin-1 string, which takes less memory than a small buffer. */
  readonly der: string;
  /** Wall clock milliseconds from which another one is made: two thirds of its life. */
  readonly renewAt: number;
}

interface KeptContext {
  readonly context: SecureContext;
  /** Made for several names: a CONNECT host and another SNI, or all names of this proxy. */
  readonly pair: boolean;
  readonly renewAt: number;
}

/** The certificates of one process: a server key shared by all leaves, and the ticket keys that let sessions resume in any. */
export interface ServerKeys {
  readonly publicKey: ReturnType<typeof generateKeyPairSync>['publicKey'];
  readonly options: SecureContextOptions;
}

/** `ticketKeys`: 48 bytes, the same in every process that shares a port; random when absent. */
export const makeServerKeys = (ticketKeys: Buffer = randomBytes(48)): ServerKeys => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const options: SecureContextOptions = {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    // Clients show no certificate: without a list here every context would hold on to the system's roots.
    ca: [],
    ciphers: CIPHERS,
    honorCipherOrder: true,
    minVersion: 'TLSv1.2',
    ecdhCurve: 'X25519:P-256:P-384',
    sessionIdContext: 'crawlgate',
    sessionTimeout: SESSION_SECONDS,
    ticketKeys,
  };
  return { publicKey, options };
};

/** Names for the certificate: the CONNECT host, and the SNI when it is another valid name (T-07). */
const namesFor = (host: string, sni: string | undefined): readonly LeafName[] => {
  const first = leafName(host);
  if (first === undefined) throw new Refusal('bad_uri', { reason: 'no certificate for such a host' });
  const second = sni ? leafName(sni) : undefined;
  return second === undefined || second.text === first.text ? [first] : [first, second];
};

/** Those that a certificate can carry, each once. */
const namesOf = (all: readonly string[]): readonly LeafName[] => {
  const names = new Map<string, LeafName>();
  for (const one of all) {
    const name = leafName(one);
    if (name !== undefined) names.set(name.text, name);
  }
  return [...names.values()];
};

const keyOf = (names: readonly LeafName[]): string => names.map(({ text }) => text).join(' ');

const quickKey = (host: string, sni: string | undefined): string =>
  sni === undefined || sni === '' || sni === host ? host : `${host} ${sni}`;

interface CertificateSlot {
  setCert?(pem: string): void;
}

/**
 * Gives a context that is no longer wanted another certificate, as `createSecureContext` would. A thrown-away context is
 * 16 KB outside the heap that the garbage collector does not see and so leaves lying about: 200 MB after 10,000 hosts.
 * Connections begun with it keep the certificate they began with.
 */
const recertified = (context: SecureContext, cert: string): SecureContext | undefined => {
  const slot = context.context as CertificateSlot;
  if (typeof slot.setCert !== 'function') return undefined;
  slot.setCert(cert);
  return context;
};

export interface LeafOptions {
  readonly issuer: Issuer;
  /** Certificates sent after the leaf, PEM; empty when there are none. */
  readonly chainPem: string;
  readonly keys: ServerKeys;
  readonly limits: LeafLimits;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

/** Throws `Refusal` bad_uri for a host that is neither a name nor an address. */
export type ContextFor = (host: string, sni: string | undefined) => SecureContext;

export interface Leaves {
  readonly contextFor: ContextFor;
  /** One certificate for all of these names; what no certificate can carry is left out. */
  contextForAll(names: readonly string[]): SecureContext;
}

/** At most one signature a host while its leaf is kept and young. */
export const makeLeaves = ({ issuer, chainPem, keys, limits, now }: LeafOptions): Leaves => {
  const build = leafBuilder(issuer, keys.publicKey);
  const leaves = new LRUCache<string, KeptLeaf>({ max: limits.leaves });
  const contexts = new LRUCache<string, KeptContext>({ max: limits.contexts });

  const leafFor = (key: string, names: readonly LeafName[], at: number): KeptLeaf => {
    const kept = leaves.get(key);
    if (kept !== undefined && at < kept.renewAt) return kept;
    const { der, notBefore, notAfter } = build(names, at);
    const leaf = { der: der.toString('latin1'), renewAt: notBefore + (notAfter - notBefore) * (2 / 3) };
    leaves.set(key, leaf);
    return leaf;
  };

  /** `pair` keeps a host that is sent with a space in it apart from the key of two names. */
  const young = (key: string, pair: boolean, at: number): SecureContext | undefined => {
    const kept = contexts.get(key);
    return kept !== undefined && kept.pair === pair && at < kept.renewAt ? kept.context : undefined;
  };

  const make = (key: string, names: readonly LeafName[], at: number): SecureContext => {
    const { der, renewAt } = leafFor(key, names, at);
    const cert = toPem(Buffer.from(der, 'latin1')) + chainPem;
    // The one to go makes room for the new one: this host's old one, or the longest unused.
    const gone = contexts.get(key) ?? (contexts.size >= limits.contexts ? contexts.pop() : undefined);
    const context = (gone && recertified(gone.context, cert)) ?? createSecureContext({ ...keys.options, cert });
    contexts.set(key, { context, pair: names.length > 1, renewAt });
    return context;
  };

  const contextOf = (names: readonly LeafName[], at: number): SecureContext => {
    const key = keyOf(names);
    return young(key, names.length > 1, at) ?? make(key, names, at);
  };

  return {
    contextFor(host, sni) {
      const at = now();
      const asSent = quickKey(host, sni);
      return young(asSent, asSent !== host, at) ?? contextOf(namesFor(host, sni), at);
    },
    contextForAll: (names) => contextOf(namesOf(names), now()),
  };
};
