/** A P-256 authority and leaf for the bench, written as DER by hand: no openssl binary, no library. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  if (body.length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, body.length]), body]);
  return Buffer.concat([Buffer.from([tag, 0x82, body.length >> 8, body.length & 0xff]), body]);
};
const seq = (...parts: Buffer[]) => tlv(0x30, ...parts);
const octets = (body: Buffer) => tlv(0x04, body);
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, 'hex'));
const time = (date: Date) =>
  tlv(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`, 'latin1'));

const ECDSA_SHA256 = seq(oid('2a8648ce3d040302'));
const TRUE = Buffer.from([0x01, 0x01, 0xff]);
const DAY_MS = 86_400_000;

const nameOf = (common: string) => seq(tlv(0x31, seq(oid('550403'), tlv(0x0c, Buffer.from(common, 'utf8')))));
const extension = (id: string, critical: boolean, value: Buffer) =>
  critical ? seq(oid(id), TRUE, octets(value)) : seq(oid(id), octets(value));
const keyIdOf = (spki: Buffer) => createHash('sha1').update(spki).digest();
const pem = (der: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;

export interface Issued {
  readonly common: string;
  readonly certificate: string;
  readonly key: string;
  readonly privateKey: KeyObject;
  readonly keyId: Buffer;
}

const caExtensions = (keyId: Buffer) => [
  extension('551d13', true, seq(TRUE)),
  extension('551d0f', true, Buffer.from([0x03, 0x02, 0x01, 0x06])),
  extension('551d0e', false, octets(keyId)),
];

const leafExtensions = (authorityKeyId: Buffer, names: readonly string[]) => [
  extension('551d23', false, seq(tlv(0x80, authorityKeyId))),
  extension('551d0f', true, Buffer.from([0x03, 0x02, 0x07, 0x80])),
  extension('551d25', false, seq(oid('2b06010505070301'))),
  extension(
    '551d11',
    false,
    seq(...names.map((name) => tlv(0x82, Buffer.from(name))), tlv(0x87, Buffer.from([127, 0, 0, 1]))),
  ),
];

/** Issues a certificate valid for two days: an authority when `by` is absent, else a leaf for the names and 127.0.0.1. */
export const issue = (common: string, by?: Issued, furtherNames: readonly string[] = []): Issued => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdOf(spki);
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const extensions = by ? leafExtensions(by.keyId, [common, ...furtherNames]) : caExtensions(keyId);
  const body = seq(
    tlv(0xa0, Buffer.from([0x02, 0x01, 0x02])),
    tlv(0x02, serial),
    ECDSA_SHA256,
    nameOf(by?.common ?? common),
    seq(time(new Date(Date.now() - DAY_MS)), time(new Date(Date.now() + 2 * DAY_MS))),
    nameOf(common),
    spki,
    tlv(0xa3, seq(...extensions)),
  );
  const signature = sign('sha256', body, by?.privateKey ?? pair.privateKey);
  return {
    common,
    certificate: pem(seq(body, ECDSA_SHA256, tlv(0x03, Buffer.from([0]), signature))),
    key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    privateKey: pair.privateKey,
    keyId,
  };
};
