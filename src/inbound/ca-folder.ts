/** The CA of an installation on disk: made once, read at every start, replaced on demand (C-03, C-05, robustness C07). */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CaError,
  caError,
  KEY_MODE,
  makeFolder,
  PUBLIC_MODE,
  placeOnce,
  readIfThere,
  readKeyFile,
  replace,
} from './ca-files.ts';
import { type Issuer, issuerOf, toPem } from './certificate.ts';
import { buildCa, buildCross } from './issuing.ts';

export const CA_FILES = {
  certificate: 'crawlera-ca.crt',
  key: 'crawlera-ca.key',
  /** The CA before the last renewal. */
  previous: 'crawlera-ca.previous.crt',
  /** The present CA vouched for by the previous one. */
  cross: 'crawlera-ca.cross.crt',
  renewing: 'crawlera-ca.renewing',
} as const;

export interface Ca {
  readonly issuer: Issuer;
  readonly certificatePem: string;
  readonly previousPem: string | undefined;
  readonly cross: X509Certificate | undefined;
}

type FileName = (typeof CA_FILES)[keyof typeof CA_FILES];

// ---- key and certificate ---------------------------------------------------------------------------------------------

const newKeyPem = (): string =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;

const parseKey = (path: string, pem: string): KeyObject => {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new CaError(`${path}: not an unencrypted private key in PEM form`);
  }
  if (key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'rsa') return key;
  throw new CaError(`${path}: a CA key must be EC or RSA, this one is ${key.asymmetricKeyType}`);
};

const parseCertificate = (path: string, pem: string): X509Certificate => {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new CaError(`${path}: not a certificate in PEM form`);
  }
};

const caPem = (key: KeyObject, now: number): string => toPem(buildCa(key, now).der);

const readCross = (path: string, key: KeyObject): X509Certificate | undefined => {
  const pem = readIfThere(path);
  if (pem === undefined) return undefined;
  const cross = parseCertificate(path, pem);
  return cross.checkPrivateKey(key) ? cross : undefined;
};

const readOrMakeKey = (at: (file: FileName) => string, hasCertificate: boolean): string => {
  const path = at(CA_FILES.key);
  const there = readKeyFile(path);
  if (there !== undefined) return there;
  if (hasCertificate) {
    throw new CaError(
      `${path}: missing, but its certificate is there; put the key back, or move ${at(CA_FILES.certificate)} away to have a new CA made`,
    );
  }
  placeOnce(path, newKeyPem(), KEY_MODE);
  return readKeyFile(path) ?? '';
};

const pathsIn =
  (folder: string): ((file: FileName) => string) =>
  (file) =>
    join(folder, file);

/**
 * Reads the installation's CA, making it when the folder has none. Throws `CaError` when the key is readable by anyone
 * else, does not belong to the certificate, or a file is unusable.
 */
export const openCa = (folder: string, now: number): Ca => {
  makeFolder(folder);
  const at = pathsIn(folder);
  const path = at(CA_FILES.certificate);
  // The certificate is looked for first: it is written last, so where it is the key has to be.
  const stated = readIfThere(path);
  const key = parseKey(at(CA_FILES.key), readOrMakeKey(at, stated !== undefined));
  if (stated === undefined) placeOnce(path, caPem(key, now), PUBLIC_MODE);
  let certificatePem = stated ?? readIfThere(path) ?? '';
  let certificate = parseCertificate(path, certificatePem);
  const previousPem = readIfThere(at(CA_FILES.previous));
  if (!certificate.checkPrivateKey(key)) {
    // A renewal that was cut off between its last two steps leaves the old certificate beside the new key.
    if (certificatePem !== previousPem) throw new CaError(`${path}: does not belong to ${at(CA_FILES.key)}`);
    certificatePem = caPem(key, now);
    replace(path, certificatePem, PUBLIC_MODE);
    certificate = parseCertificate(path, certificatePem);
  }
  if (!certificate.ca) throw new CaError(`${path}: not a CA certificate (basicConstraints lacks CA:TRUE)`);
  return { issuer: issuerOf(certificate, key), certificatePem, previousPem, cross: readCross(at(CA_FILES.cross), key) };
};

/** The certificate for clients; makes the CA when there is none, else leaves the key alone. */
export const publishedCa = (folder: string, now: number): { pem: string; certificate: X509Certificate } => {
  const path = join(folder, CA_FILES.certificate);
  const pem = readIfThere(path) ?? openCa(folder, now).certificatePem;
  return { pem, certificate: parseCertificate(path, pem) };
};

/** Makes a new CA; the old certificate is kept beside it and its key vouches for the new one before it goes (C-05, E10). */
export const renewCa = (folder: string, now: number): Ca => {
  const at = pathsIn(folder);
  const old = openCa(folder, now);
  const lock = at(CA_FILES.renewing);
  try {
    writeFileSync(lock, '', { flag: 'wx' });
  } catch (error) {
    throw caError(lock, 'another renewal is running; if none is, remove this file', error);
  }
  try {
    const keyPem = newKeyPem();
    const key = createPrivateKey(keyPem);
    const next = caPem(key, now);
    const cross = buildCross(old.issuer, issuerOf(new X509Certificate(next), key));
    replace(at(CA_FILES.previous), old.certificatePem, PUBLIC_MODE);
    replace(at(CA_FILES.cross), toPem(cross.der), PUBLIC_MODE);
    replace(at(CA_FILES.key), keyPem, KEY_MODE);
    replace(at(CA_FILES.certificate), next, PUBLIC_MODE);
  } finally {
    rmSync(lock, { force: true });
  }
  return openCa(folder, now);
};
