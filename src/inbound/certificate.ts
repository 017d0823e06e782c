/** X.509 in DER: the parts of a certificate from node-forge's ASN.1, signed by node:crypto. Home of node-forge. */
import { createHash, type KeyObject, randomBytes, sign, type X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { addressBytes, type LeafName } from './leaf-names.ts';

const { asn1 } = forge;
const { Class, Type } = asn1;
export type Node = forge.asn1.Asn1;

/** Whoever signs: a CA's key with what its certificates must repeat of it. */
export interface Issuer {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  /** The CA's subject exactly as it stands in its certificate. */
  readonly subject: Node;
  /** The CA's subject key identifier; `undefined` when its certificate carries none. */
  readonly keyId: Buffer | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A certificate as made; times are wall clock milliseconds. */
export interface Issued {
  readonly der: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
} as const;

// ---- ASN.1 in short --------------------------------------------------------------------------------------------------

const primitive = (type: forge.asn1.Type, value: string): Node => asn1.create(Class.UNIVERSAL, type, false, value);
const sequence = (...items: Node[]): Node => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const context = (tag: number, constructed: boolean, value: string | Node[]): Node =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, constructed, value);
const octets = (bytes: Buffer): string => bytes.toString('latin1');
const oidNode = (oid: string): Node => primitive(Type.OID, asn1.oidToDer(oid).getBytes());
const derOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
export const nodeOf = (der: Buffer): Node => asn1.fromDer(octets(der));
const children = (node: Node | undefined): Node[] => (node && typeof node.value !== 'string' ? node.value : []);
const boolTrue = (): Node => primitive(Type.BOOLEAN, '\xff');
const bitString = (bytes: string, unusedBits = 0): Node =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + bytes);

/** X.509 wants two-digit years until 2049 and four digits from 2050 on. */
const time = (ms: number): Node => {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
};

const extension = (oid: string, critical: boolean, value: Node): Node =>
  sequence(oidNode(oid), ...(critical ? [boolTrue()] : []), primitive(Type.OCTETSTRING, asn1.toDer(value).getBytes()));

const attribute = (oid: string, text: string): Node =>
  asn1.create(Class.UNIVERSAL, Type.SET, true, [sequence(oidNode(oid), primitive(Type.UTF8, text))]);

const keyUsage = (byte: number, unusedBits: number): Node =>
  extension(OID.keyUsage, true, bitString(String.fromCharCode(byte), unusedBits));
export const CA_USAGE = keyUsage(0x06, 1);
export const LEAF_USAGE = keyUsage(0x80, 7);
export const CA_CONSTRAINTS = extension(OID.basicConstraints, true, sequence(boolTrue()));
export const SERVER_AUTH = extension(OID.extKeyUsage, false, sequence(oidNode(OID.serverAuth)));

export const subjectKeyId = (id: Buffer): Node =>
  extension(OID.subjectKeyIdentifier, false, primitive(Type.OCTETSTRING, octets(id)));
export const authorityKeyId = (id: Buffer): Node =>
  extension(OID.authorityKeyIdentifier, false, sequence(context(0, false, octets(id))));

const altName = ({ kind, text }: LeafName): Node =>
  kind === 'dns' ? context(2, false, text) : context(7, false, octets(addressBytes(text)));

export const altNames = (names: readonly LeafName[], critical: boolean): Node =>
  extension(OID.subjectAltName, critical, sequence(...names.map(altName)));

/** A distinguished name of an organization and a common name; either may be absent. */
export const distinguishedName = (organization: string | undefined, commonName: string | undefined): Node =>
  sequence(
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
    ...(commonName === undefined ? [] : [attribute(OID.commonName, commonName)]),
  );

// ---- certificates ----------------------------------------------------------------------------------------------------

interface Draft {
  readonly issuerName: Node;
  readonly subject: Node;
  readonly publicKey: Node;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Node[];
}

/** 16 random bytes: positive, always of full length, never the same again on any node (RFC 5280 allows 20). */
const serialNumber = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return octets(bytes);
};

const algorithmOf = (key: KeyObject): Node =>
  key.asymmetricKeyType === 'rsa'
    ? sequence(oidNode(OID.rsaWithSha256), primitive(Type.NULL, ''))
    : sequence(oidNode(OID.ecdsaWithSha256));

export const issue = (key: KeyObject, draft: Draft): Issued => {
  const algorithm = algorithmOf(key);
  const toBeSigned = sequence(
    context(0, true, [primitive(Type.INTEGER, '\x02')]),
    primitive(Type.INTEGER, serialNumber()),
    algorithm,
    draft.issuerName,
    sequence(time(draft.notBefore), time(draft.notAfter)),
    draft.subject,
    draft.publicKey,
    context(3, true, [sequence(...draft.extensions)]),
  );
  const signature = sign('sha256', derOf(toBeSigned), key);
  const der = derOf(sequence(toBeSigned, algorithm, bitString(octets(signature))));
  return { der, notBefore: draft.notBefore, notAfter: draft.notAfter };
};

export const publicKeyDer = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

/** RFC 7093 method 4, shortened to the usual 160 bits. */
export const keyIdOf = (spki: Buffer): Buffer => createHash('sha256').update(spki).digest().subarray(0, 20);

// ---- reading our own CA ----------------------------------------------------------------------------------------------

export const keyIdFor = (issuer: Issuer): Buffer => issuer.keyId ?? keyIdOf(publicKeyDer(issuer.certificate.publicKey));

const statedKeyId = (tbs: readonly Node[]): Buffer | undefined => {
  const wrapper = tbs.find((node) => node.tagClass === Class.CONTEXT_SPECIFIC && Number(node.type) === 3);
  const wanted = asn1.oidToDer(OID.subjectKeyIdentifier).getBytes();
  const found = children(children(wrapper)[0]).find((node) => children(node)[0]?.value === wanted);
  const inner = children(found).at(-1)?.value;
  // forge may already have looked into the octet string and found the one inside.
  const id = typeof inner === 'string' ? asn1.fromDer(inner).value : inner?.[0]?.value;
  return typeof id === 'string' ? Buffer.from(id, 'latin1') : undefined;
};

/** Throws when the certificate cannot be read. */
export const issuerOf = (certificate: X509Certificate, key: KeyObject): Issuer => {
  const tbs = children(children(nodeOf(certificate.raw))[0]);
  const subject = tbs[5];
  if (!subject) throw new Error('the certificate has no subject');
  return {
    key,
    certificate,
    subject,
    keyId: statedKeyId(tbs),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
};

export const toPem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
