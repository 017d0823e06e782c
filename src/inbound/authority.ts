/** The certificate authority a running proxy works with: leaves for its tunnels, its certificate for clients (section 13). */
import { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { Refusal } from '../model/errors.ts';
import { type Ca, openCa } from './ca-folder.ts';
import { toPem } from './certificate.ts';
import { LEAF_LIMITS, type LeafLimits, type Leaves, makeLeaves, makeServerKeys } from './leaves.ts';
import { makeTurnQueue } from './turn-queue.ts';

export { CaError } from './ca-files.ts';
export { CA_FILES, publishedCa, renewCa } from './ca-folder.ts';

const DAY_MS = 86_400_000;
/** How long before its end an operator is told (field experience: nobody looks at a CA for ten years). */
const WARN_AHEAD_DAYS = 60;

/** Shaped like the callback of Node's `SNICallback`. */
export type ContextReady = (error: Error | null, context?: SecureContext) => void;

export interface Authority {
  /**
   * A context whose leaf is valid for the CONNECT host and, where it differs and is a name at all, for the SNI (T-07).
   * Costs nothing for a host in use, about 0.5 ms of CPU for a new one. For a connection that begins now: when other hosts
   * need room the same context gets their certificate, so ask again rather than keep it. Throws `Refusal` bad_uri for an
   * impossible host.
   */
  secureContextFor(host: string, sni: string | undefined): SecureContext;
  /**
   * The same when its turn has come, usually in this very turn of the event loop: of a burst only as many handshakes are
   * begun at a stretch as leave time for everything else (robustness E04). `Refusal` serverbusy when 10,000 wait already.
   */
  whenReady(host: string, sni: string | undefined, done: ContextReady): void;
  /** The same for a certificate with all of these names, this proxy's own (T-21). */
  whenReadyForAll(names: readonly string[], done: ContextReady): void;
  /** The CA's certificate, PEM. */
  readonly certificatePem: string;
  /** The same followed by the previous CA's while that one is valid: for clients during a change (E10). */
  readonly bundlePem: string;
  /** SHA-256 of the certificate, hex pairs with colons. */
  readonly fingerprint: string;
  /** What an operator should be told, empty when all is well. */
  readonly warnings: readonly string[];
  /** Reads the folder again, for a renewed CA. Tunnels that are open go on. Throws `CaError` and changes nothing. */
  reload(): void;
}

export interface AuthorityOptions {
  /** Wall clock, milliseconds. */
  readonly now?: () => number;
  readonly limits?: LeafLimits;
  /** 48 bytes shared by processes that share a port. */
  readonly ticketKeys?: Buffer;
}

const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo);
const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const expiryWarning = (notAfter: number, now: number): string | undefined => {
  const days = Math.floor((notAfter - now) / DAY_MS);
  if (days >= WARN_AHEAD_DAYS) return undefined;
  const when = days < 0 ? `expired on ${day(notAfter)}` : `expires on ${day(notAfter)}, in ${days} days`;
  return `The CA certificate ${when}: run "crawlgate ca renew" and give clients the new one`;
};

const warningsFor = ({ issuer }: Ca, now: number): string[] => {
  const expiry = expiryWarning(issuer.notAfter, now);
  const warnings = expiry === undefined ? [] : [expiry];
  if (issuer.keyId === undefined) {
    warnings.push('The CA certificate has no subjectKeyIdentifier: strict clients such as Python 3.13 reject it');
  }
  return warnings;
};

const bundleOf = ({ certificatePem, previousPem }: Ca, now: number): string =>
  previousPem === undefined || previousPem === certificatePem || endOf(previousPem) <= now
    ? certificatePem
    : certificatePem + previousPem;

/** What follows the leaf: nothing that a client has anyway, for each of 10,000 hosts would keep a copy. */
const chainOf = ({ cross }: Ca, now: number): string =>
  cross === undefined || Date.parse(cross.validTo) <= now ? '' : toPem(cross.raw);

/** Opens, or makes, the CA in `folder`. Throws `CaError` when it cannot be used. */
export const openAuthority = (folder: string, options: AuthorityOptions = {}): Authority => {
  const { now = Date.now, limits = LEAF_LIMITS } = options;
  const keys = makeServerKeys(options.ticketKeys);
  const leavesOf = (ca: Ca): Leaves =>
    makeLeaves({ issuer: ca.issuer, chainPem: chainOf(ca, now()), keys, limits, now });

  let ca = openCa(folder, now());
  let leaves = leavesOf(ca);
  const queue = makeTurnQueue();

  /** When its turn has come: `make` may throw. */
  const inTurn = (make: () => SecureContext, done: ContextReady): void => {
    const answer = (): void => {
      let context: SecureContext;
      try {
        context = make();
      } catch (error) {
        done(error as Error);
        return;
      }
      done(null, context);
    };
    if (!queue(answer)) done(new Refusal('serverbusy', { reason: 'too many TLS handshakes at once' }));
  };

  return {
    secureContextFor: (host, sni) => leaves.contextFor(host, sni),
    whenReady: (host, sni, done) => inTurn(() => leaves.contextFor(host, sni), done),
    whenReadyForAll: (names, done) => inTurn(() => leaves.contextForAll(names), done),
    get certificatePem() {
      return ca.certificatePem;
    },
    get bundlePem() {
      return bundleOf(ca, now());
    },
    get fingerprint() {
      return ca.issuer.certificate.fingerprint256;
    },
    get warnings() {
      return warningsFor(ca, now());
    },
    reload: () => {
      ca = openCa(folder, now());
      leaves = leavesOf(ca);
    },
  };
};
