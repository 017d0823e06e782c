/** Makes a certificate authority and server certificates for tests, in memory; keys are made by node:crypto, which is fast. */
import { generateKeyPairSync } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';

export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface LeafOptions {
  /** Names and addresses it is for. */
  readonly hosts: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface TestAuthority extends TestCertificate {
  issue(options: LeafOptions): TestCertificate;
}

const DAY_MS = 86_400_000;
let serial = 1;

const makeKey = (): { pem: string; pair: forge.pki.rsa.KeyPair } => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const own = forge.pki.privateKeyFromPem(pem);
  return { pem, pair: { privateKey: own, publicKey: forge.pki.setRsaPublicKey(own.n, own.e) } };
};

const base = (commonName: string, publicKey: forge.pki.PublicKey, from?: Date, to?: Date): forge.pki.Certificate => {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  certificate.serialNumber = `01${(serial++).toString(16).padStart(6, '0')}`;
  certificate.validity.notBefore = from ?? new Date(Date.now() - DAY_MS);
  certificate.validity.notAfter = to ?? new Date(Date.now() + 30 * DAY_MS);
  certificate.setSubject([{ name: 'commonName', value: commonName }]);
  return certificate;
};

const altNames = (hosts: readonly string[]): object[] =>
  hosts.map((host) => (isIP(host) === 0 ? { type: 2, value: host } : { type: 7, ip: host }));

/** A certificate signed by itself. */
export const makeSelfSigned = ({ hosts, notBefore, notAfter }: LeafOptions): TestCertificate => {
  const { pem, pair } = makeKey();
  const certificate = base(hosts[0] ?? 'test', pair.publicKey, notBefore, notAfter);
  certificate.setIssuer(certificate.subject.attributes);
  certificate.setExtensions([{ name: 'subjectAltName', altNames: altNames(hosts) }]);
  certificate.sign(pair.privateKey, forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: pem };
};

export const makeAuthority = (name = 'crawlgate test CA'): TestAuthority => {
  const { pem, pair } = makeKey();
  const root = base(name, pair.publicKey);
  root.setIssuer(root.subject.attributes);
  root.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  root.sign(pair.privateKey, forge.md.sha256.create());
  const leafKey = makeKey();
  return {
    cert: forge.pki.certificateToPem(root),
    key: pem,
    issue({ hosts, notBefore, notAfter }) {
      const leaf = base(hosts[0] ?? 'test', leafKey.pair.publicKey, notBefore, notAfter);
      leaf.setIssuer(root.subject.attributes);
      leaf.setExtensions([
        { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        { name: 'subjectAltName', altNames: altNames(hosts) },
      ]);
      leaf.sign(pair.privateKey, forge.md.sha256.create());
      return { cert: forge.pki.certificateToPem(leaf), key: leafKey.pem };
    },
  };
};
