/** The certificates this proxy issues: its CA, the bridge from an old CA to a new one, and leaves (C-03 to C-06, E01). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  altNames,
  authorityKeyId,
  CA_CONSTRAINTS,
  CA_USAGE,
  distinguishedName,
  type Issued,
  type Issuer,
  issue,
  keyIdFor,
  keyIdOf,
  LEAF_USAGE,
  type Node,
  nodeOf,
  publicKeyDer,
  SERVER_AUTH,
  subjectKeyId,
} from './certificate.ts';
import type { LeafName } from './leaf-names.ts';

const DAY_MS = 86_400_000;
/** Ten years (C-05). */
const CA_LIFE_MS = 3652 * DAY_MS;
/** Whole life of a leaf, the part before its making included; at most 45 days (E01). */
const LEAF_LIFE_MS = 40 * DAY_MS;
/** Clients with a clock running behind must accept a certificate made this moment; at most 24 hours. */
const LEAF_BACKDATE_MS = 20 * 3_600_000;
const CA_BACKDATE_MS = DAY_MS;
/** Upper bound of a CommonName (X.520); longer hosts stand in the alternative names only. */
const MAX_COMMON_NAME = 64;

const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

const caExtensions = (keyId: Buffer, authority: Buffer): Node[] => [
  CA_CONSTRAINTS,
  CA_USAGE,
  subjectKeyId(keyId),
  authorityKeyId(authority),
];

/**
 * A self-signed CA certificate for a key, valid for ten years (C-04, C-05). Its subject follows from the key alone:
 * made again for the same key it takes the place of the first one in every client.
 */
export const buildCa = (key: KeyObject, now: number): Issued => {
  const spki = publicKeyDer(createPublicKey(key));
  const keyId = keyIdOf(spki);
  const name = distinguishedName('crawlgate', `crawlgate CA ${keyId.toString('hex').slice(0, 12)}`);
  const notBefore = seconds(now - CA_BACKDATE_MS);
  return issue(key, {
    issuerName: name,
    subject: name,
    publicKey: nodeOf(spki),
    notBefore,
    notAfter: notBefore + CA_LIFE_MS,
    extensions: caExtensions(keyId, keyId),
  });
};

/** The new CA vouched for by the old one, so that clients that know only the old one accept the new one's leaves (E10). */
export const buildCross = (old: Issuer, next: Issuer): Issued =>
  issue(old.key, {
    issuerName: old.subject,
    subject: next.subject,
    publicKey: nodeOf(publicKeyDer(next.certificate.publicKey)),
    notBefore: next.notBefore,
    notAfter: Math.min(old.notAfter, next.notAfter),
    extensions: caExtensions(keyIdFor(next), keyIdFor(old)),
  });

/** Makes leaves for one server key; what they have in common is encoded once. */
export const leafBuilder = (
  issuer: Issuer,
  leafKey: KeyObject,
): ((names: readonly LeafName[], now: number) => Issued) => {
  const publicKey = nodeOf(publicKeyDer(leafKey));
  const common = [LEAF_USAGE, SERVER_AUTH, authorityKeyId(keyIdFor(issuer))];
  return (names, now) => {
    const commonName = names[0]?.text ?? '';
    const named = commonName.length <= MAX_COMMON_NAME;
    const notBefore = seconds(now - LEAF_BACKDATE_MS);
    return issue(issuer.key, {
      issuerName: issuer.subject,
      subject: distinguishedName(undefined, named ? commonName : undefined),
      publicKey,
      notBefore,
      notAfter: Math.min(notBefore + LEAF_LIFE_MS, issuer.notAfter),
      // Without a subject the alternative names must be critical (RFC 5280, 4.2.1.6).
      extensions: [...common, altNames(names, !named)],
    });
  };
};
