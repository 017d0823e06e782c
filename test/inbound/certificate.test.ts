import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Issuer, issuerOf, toPem } from '../../src/inbound/certificate.ts';
import { buildCa, leafBuilder } from '../../src/inbound/issuing.ts';
import { type LeafName, leafName } from '../../src/inbound/leaf-names.ts';
import { extensionsOf, handshake, opensslComplaint } from './certificate-support.ts';

const DAY_MS = 86_400_000;
const EXT = {
  ski: '2.5.29.14',
  keyUsage: '2.5.29.15',
  san: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  aki: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
};

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

const caFor = (key: KeyObject, now = Date.now()): Issuer => issuerOf(new X509Certificate(buildCa(key, now).der), key);

const nameOf = (host: string): LeafName => {
  const name = leafName(host);
  if (!name) throw new Error(`${host} should be a name`);
  return name;
};

const ca = caFor(p256().privateKey);
const caPem = ca.certificate.toString();
const server = p256();
const build = leafBuilder(ca, server.publicKey);
const leafFor = (...hosts: string[]): X509Certificate => new X509Certificate(build(hosts.map(nameOf), Date.now()).der);

const LONG_HOST = `${'a'.repeat(50)}.${'b'.repeat(50)}.localhost12`;

const HOSTS = [
  'shop.localhost',
  'localhost',
  'xn--bcher-kva.example',
  'under_score.shop.example',
  LONG_HOST,
  `${'x'.repeat(63)}.${'y'.repeat(63)}.${'z'.repeat(63)}.${'w'.repeat(61)}`,
  '127.0.0.1',
  '203.0.113.7',
  '::1',
  '2001:db8::8:800:200c:417a',
  '::',
  '::ffff:192.0.2.1',
  '::192.0.2.1',
  '64:ff9b::192.0.2.33',
  '1:2:3:4:5:6:7:8',
];

describe('the CA certificate', () => {
  const extensions = extensionsOf(ca.certificate);

  it('C-04 carries critical CA:TRUE, critical keyCertSign and cRLSign, and a subject key identifier', () => {
    expect(ca.certificate.ca).toBe(true);
    expect(extensions.get(EXT.basicConstraints)).toEqual({ critical: true, hex: '30030101ff' });
    expect(extensions.get(EXT.keyUsage)).toEqual({ critical: true, hex: '03020106' });
    expect(extensions.get(EXT.ski)).toEqual({ critical: false, hex: `0414${ca.keyId?.toString('hex')}` });
    expect(ca.keyId?.length).toBe(20);
  });

  it('C-05 is valid for ten years and from a day ago, so that clocks running behind accept it', () => {
    expect(ca.notAfter - ca.notBefore).toBe(3652 * DAY_MS);
    expect(ca.notBefore).toBeLessThanOrEqual(Date.now() - DAY_MS + 1000);
  });

  it('is ECDSA P-256 and signed by itself', () => {
    expect(ca.certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(ca.certificate.verify(ca.certificate.publicKey)).toBe(true);
    expect(ca.certificate.subject).toBe(ca.certificate.issuer);
  });

  it('robustness C08 names the product and something of its own', () => {
    const other = caFor(p256().privateKey).certificate;
    expect(ca.certificate.subject).toMatch(/^O=crawlgate\nCN=crawlgate CA [0-9a-f]{12}$/);
    expect(other.subject).not.toBe(ca.certificate.subject);
    expect(other.fingerprint256).not.toBe(ca.certificate.fingerprint256);
  });

  it('made again for the same key it has the same name and key identifier', () => {
    const again = caFor(ca.key);
    expect(again.certificate.subject).toBe(ca.certificate.subject);
    expect(again.keyId).toEqual(ca.keyId);
    expect(leafFor('shop.localhost').checkIssued(again.certificate)).toBe(true);
  });
});

describe('a leaf', () => {
  const leaf = leafFor('shop.localhost');
  const extensions = extensionsOf(leaf);
  const life = Date.parse(leaf.validTo) - Date.parse(leaf.validFrom);

  it('robustness E01 has serverAuth, digitalSignature and the key identifier of the CA', () => {
    expect(extensions.get(EXT.extKeyUsage)).toEqual({ critical: false, hex: '300a06082b06010505070301' });
    expect(extensions.get(EXT.keyUsage)).toEqual({ critical: true, hex: '03020780' });
    expect(extensions.get(EXT.aki)?.hex).toBe(`30168014${ca.keyId?.toString('hex')}`);
    expect(extensions.has(EXT.basicConstraints)).toBe(false);
    expect(leaf.ca).toBe(false);
  });

  it('robustness E01 lives at most 45 days in all and starts at most 24 hours in the past', () => {
    expect(life).toBeGreaterThanOrEqual(30 * DAY_MS);
    expect(life).toBeLessThanOrEqual(45 * DAY_MS);
    const age = Date.now() - Date.parse(leaf.validFrom);
    expect(age).toBeGreaterThan(3_600_000);
    expect(age).toBeLessThan(DAY_MS);
  });

  it('never outlives its CA', () => {
    const late = ca.notAfter - 3 * DAY_MS;
    expect(build([nameOf('shop.localhost')], late).notAfter).toBe(ca.notAfter);
  });

  it('robustness E01 has a random positive 128-bit serial, never the same twice, with another key as little', () => {
    const other = leafBuilder(ca, p256().publicKey);
    const serials = Array.from({ length: 200 }, (_, i) => {
      const { der } = (i % 2 === 0 ? build : other)([nameOf('shop.localhost')], Date.now());
      return new X509Certificate(der).serialNumber;
    });
    expect(new Set(serials).size).toBe(200);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(new Set(serials.map((serial) => serial.slice(-4))).size).toBeGreaterThan(150);
  });

  it.each(HOSTS)(
    'E01 for %s is accepted by a strict verifier and by a handshake that trusts our CA alone',
    async (host) => {
      const made = leafFor(host);
      expect(made.verify(ca.certificate.publicKey)).toBe(true);
      expect(made.checkIssued(ca.certificate)).toBe(true);
      expect(isIP(host) === 0 ? made.checkHost(host) : made.checkIP(host)).toBeDefined();
      expect(opensslComplaint(caPem, made, isIP(host) === 0 ? { dns: host } : { ip: host })).toBe('');

      const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' });
      const client = await handshake(createSecureContext({ key, cert: made.toString() }), { ca: caPem, name: host });
      expect(client.authorized).toBe(true);
    },
  );

  it('is refused for another host', async () => {
    const key = server.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const context = createSecureContext({ key, cert: leafFor('shop.localhost').toString() });
    await expect(handshake(context, { ca: caPem, name: 'other.localhost' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  it('T-07 stands for two names at once', () => {
    const both = leafFor('shop.localhost', '192.0.2.1');
    expect(both.subjectAltName).toBe('DNS:shop.localhost, IP Address:192.0.2.1');
    expect(opensslComplaint(caPem, both, { ip: '192.0.2.1' })).toBe('');
  });

  it('names hosts of more than 64 characters in critical alternative names only', () => {
    expect(LONG_HOST.length).toBe(113);
    expect(leafFor(LONG_HOST).subject ?? '').toBe('');
    expect(extensionsOf(leafFor(LONG_HOST)).get(EXT.san)?.critical).toBe(true);
    expect(extensions.get(EXT.san)?.critical).toBe(false);
    expect(leaf.subject).toBe('CN=shop.localhost');
  });
});

describe('DER where it is easily got wrong', () => {
  it('writes years from 2050 on with four digits', () => {
    const late = new X509Certificate(buildCa(ca.key, Date.UTC(2045, 5, 1)).der);
    expect(late.validFrom).toBe('May 31 00:00:00 2045 GMT');
    expect(late.validTo).toBe('May 31 00:00:00 2055 GMT');
  });

  it('works for a key whose point happens to read like another ASN.1 value', () => {
    // 04 is the tag of an octet string; 3f would be its length: one key in 256.
    let key = p256();
    while (key.publicKey.export({ type: 'spki', format: 'der' })[27] !== 0x3f) key = p256();
    const issuer = caFor(key.privateKey);
    expect(issuer.certificate.verify(key.publicKey)).toBe(true);
    const made = new X509Certificate(leafBuilder(issuer, key.publicKey)([nameOf('shop.localhost')], Date.now()).der);
    expect(made.publicKey.equals(key.publicKey)).toBe(true);
    expect(opensslComplaint(issuer.certificate.toString(), made)).toBe('');
  });

  it("signs with an operator's own RSA key too", () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const issuer = caFor(createPrivateKey(privateKey.export({ type: 'pkcs1', format: 'pem' })));
    const made = new X509Certificate(leafBuilder(issuer, server.publicKey)([nameOf('shop.localhost')], Date.now()).der);
    expect(made.verify(issuer.certificate.publicKey)).toBe(true);
    expect(opensslComplaint(issuer.certificate.toString(), made, { dns: 'shop.localhost' })).toBe('');
  });

  it('writes PEM as OpenSSL does', () => {
    expect(toPem(ca.certificate.raw)).toBe(caPem);
  });
});

describe('what a leaf may be issued for', () => {
  it.each([
    '',
    '.',
    '..',
    '../../x',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'a..b',
    '.a',
    'a b',
    'a\0b',
    'a\r\nb',
    '*.shop.example',
    '*',
    'bücher.example',
    'a%2fb',
    'user@host',
    'host:443',
    'fe80::1%eth0',
    `${'a'.repeat(64)}.example`,
    `${'abcdefg.'.repeat(32)}example`,
    'x'.repeat(256),
  ])('is not %j', (host) => {
    expect(leafName(host)).toBeUndefined();
  });

  it.each([
    ['Shop.LOCALHOST', 'dns', 'shop.localhost'],
    ['shop.localhost.', 'dns', 'shop.localhost'],
    ['ca.private', 'dns', 'ca.private'],
    ['[2001:DB8::1]', 'ip', '2001:db8::1'],
    ['192.0.2.1', 'ip', '192.0.2.1'],
  ])('takes %s as %s %s', (host, kind, text) => {
    expect(leafName(host)).toEqual({ kind, text });
  });

  it('never lets through a character that means something to a file system, a log or a wildcard', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (host) => {
        const name = leafName(host);
        if (name?.kind === 'dns') expect(name.text).toMatch(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/);
        if (name?.kind === 'ip') expect(isIP(name.text)).not.toBe(0);
      }),
    );
  });

  it('takes every domain name and every address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), (host) => {
        expect(leafName(host)?.text).toBe(host.toLowerCase());
        expect(answersTo(host)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

/** In process: the leaf for a host answers to that host. */
const answersTo = (host: string): boolean => {
  const made = leafFor(host);
  return (isIP(host) === 0 ? made.checkHost(host) : made.checkIP(host)) !== undefined;
};
