import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Authority, CA_FILES, CaError, openAuthority, renewCa } from '../../src/inbound/authority.ts';
import { issuerOf, toPem } from '../../src/inbound/certificate.ts';
import { buildCa, leafBuilder } from '../../src/inbound/issuing.ts';
import { handshake, opensslComplaint, shownBy, testFolder } from './certificate-support.ts';

const DAY_MS = 86_400_000;

const opened = (): { folder: string; authority: Authority; key: string } => {
  const folder = testFolder();
  const authority = openAuthority(folder);
  return { folder, authority, key: join(folder, CA_FILES.key) };
};

const read = (folder: string, file: string): string => readFileSync(join(folder, file), 'utf8');

/** A server certificate of its own key, where a CA certificate is expected. */
const selfSignedLeaf = (key: KeyObject, publicKey: KeyObject): string => {
  const issuer = issuerOf(new X509Certificate(buildCa(key, Date.now()).der), key);
  return toPem(leafBuilder(issuer, publicKey)([{ kind: 'dns', text: 'shop.localhost' }], Date.now()).der);
};

const failure = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('the CA of an installation', () => {
  it('C-03 is made at the first start, its key for this user alone (robustness C07)', () => {
    const { folder, key } = opened();
    expect(readdirSync(folder).sort()).toEqual([CA_FILES.certificate, CA_FILES.key]);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(readFileSync(key, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  });

  it('stays the same from start to start', () => {
    const { folder, authority } = opened();
    const again = openAuthority(folder);
    expect(again.fingerprint).toBe(authority.fingerprint);
    expect(again.certificatePem).toBe(readFileSync(join(folder, CA_FILES.certificate), 'utf8'));
  });

  it('robustness C08 has another fingerprint in another installation', () => {
    expect(opened().authority.fingerprint).not.toBe(opened().authority.fingerprint);
  });

  it('makes the folder when it is missing', () => {
    const folder = join(testFolder(), 'deep', 'certs');
    openAuthority(folder);
    expect(existsSync(join(folder, CA_FILES.certificate))).toBe(true);
  });

  it('is one CA when several processes start at once in an empty folder', async () => {
    const folder = testFolder();
    const module = JSON.stringify(join(import.meta.dirname, '../../src/inbound/authority.ts'));
    const script = `
      import { openAuthority } from ${module};
      process.stdout.write('ready ');
      process.stdin.once('data', () => {
        process.stdout.write(openAuthority(${JSON.stringify(folder)}).fingerprint);
        process.exit(0);
      });`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        cwd: join(import.meta.dirname, '../..'),
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    onTestFinished(() => {
      for (const child of children) child.kill('SIGKILL');
    });
    const outputs = children.map(() => '');
    await Promise.all(
      children.map(
        (child, i) =>
          new Promise<void>((resolve) =>
            child.stdout.on('data', (text) => {
              outputs[i] += String(text);
              resolve();
            }),
          ),
      ),
    );
    const ended = children.map((child) => new Promise((resolve) => child.once('close', resolve)));
    for (const child of children) child.stdin.write('go');
    expect(await Promise.all(ended)).toEqual([0, 0, 0, 0]);
    expect(new Set(outputs)).toEqual(new Set([`ready ${openAuthority(folder).fingerprint}`]));
    expect(readdirSync(folder).sort()).toEqual([CA_FILES.certificate, CA_FILES.key]);
  });

  it.each([0o644, 0o640, 0o604, 0o620])('robustness C07 does not start while the key has mode %o', (mode) => {
    const { folder, key } = opened();
    chmodSync(key, mode);
    expect(() => openAuthority(folder)).toThrow(
      new CaError(`${key}: the CA key is open to group or others (mode 0${mode.toString(8)}); run: chmod 600 ${key}`),
    );
    chmodSync(key, 0o400);
    expect(() => openAuthority(folder)).not.toThrow();
  });

  it('finishes what was cut off after the key was written', () => {
    const { folder, authority, key } = opened();
    rmSync(join(folder, CA_FILES.certificate));
    const again = openAuthority(folder);
    const made = new X509Certificate(again.certificatePem);
    expect(made.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true);
    // Clients that already trust the first certificate go on trusting: same name, same key.
    expect(made.subject).toBe(new X509Certificate(authority.certificatePem).subject);
  });

  it.each<[string, (folder: string) => void, RegExp]>([
    ['its key is missing', (at) => rmSync(join(at, CA_FILES.key)), /crawlera-ca\.key: missing, but its certificate/],
    ['its key is no key', (at) => writeFileSync(join(at, CA_FILES.key), 'SECRET'), /not an unencrypted private key/],
    [
      'its certificate is no certificate',
      (at) => writeFileSync(join(at, CA_FILES.certificate), 'x'),
      /not a certificate in PEM form/,
    ],
    [
      'its certificate belongs to another key',
      (at) => copyFileSync(join(opened().folder, CA_FILES.certificate), join(at, CA_FILES.certificate)),
      /does not belong to .*crawlera-ca\.key/,
    ],
    [
      'its key is of a kind that cannot sign here',
      (at) => {
        const { privateKey } = generateKeyPairSync('ed25519');
        writeFileSync(join(at, CA_FILES.key), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      },
      /must be EC or RSA, this one is ed25519/,
    ],
    [
      'its certificate is not a CA',
      (at) => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        writeFileSync(join(at, CA_FILES.key), privateKey.export({ type: 'pkcs8', format: 'pem' }));
        writeFileSync(join(at, CA_FILES.certificate), selfSignedLeaf(privateKey, publicKey));
      },
      /not a CA certificate/,
    ],
    [
      'a folder stands where the key should be',
      (at) => {
        rmSync(join(at, CA_FILES.key));
        mkdirSync(join(at, CA_FILES.key), { mode: 0o700 });
      },
      /crawlera-ca\.key: cannot be read \(EISDIR/,
    ],
  ])('says what is wrong when %s, and shows no key', (_what, spoil, message) => {
    const { folder } = opened();
    const before = readFileSync(join(folder, CA_FILES.key), 'utf8');
    spoil(folder);
    const error = failure(() => openAuthority(folder));
    expect(error).toBeInstanceOf(CaError);
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain('SECRET');
    expect(String(error)).not.toContain(before.split('\n')[1]);
  });
});

describe('renewal', () => {
  it('C-05 makes a new CA and keeps the old certificate', () => {
    const { folder, authority } = opened();
    const oldKey = read(folder, CA_FILES.key);
    renewCa(folder, Date.now());
    expect(read(folder, CA_FILES.previous)).toBe(authority.certificatePem);
    expect(read(folder, CA_FILES.key)).not.toBe(oldKey);
    expect(statSync(join(folder, CA_FILES.key)).mode & 0o777).toBe(0o600);
    expect(openAuthority(folder).fingerprint).not.toBe(authority.fingerprint);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('robustness E10 serves clients of either CA, and both certificates for download', async () => {
    const { folder, authority } = opened();
    const oldPem = authority.certificatePem;
    renewCa(folder, Date.now());
    // Running, not yet reloaded: the old CA signs on.
    await handshake(authority.secureContextFor('a.localhost', undefined), { ca: oldPem, name: 'a.localhost' });
    authority.reload();
    expect(authority.certificatePem).not.toBe(oldPem);
    expect(authority.bundlePem).toBe(authority.certificatePem + oldPem);
    const context = authority.secureContextFor('a.localhost', undefined);
    for (const ca of [oldPem, authority.certificatePem, authority.bundlePem]) {
      expect((await handshake(context, { ca, name: 'a.localhost' })).authorized).toBe(true);
    }
    const leaf = await shownBy(context);
    expect(opensslComplaint(authority.certificatePem, leaf, { dns: 'a.localhost' })).toBe('');
    expect(opensslComplaint(oldPem, leaf, { dns: 'a.localhost' }, read(folder, CA_FILES.cross))).toBe('');
  });

  it('robustness E10 leaves open connections alone', async () => {
    const { folder, authority } = opened();
    const client = await handshake(authority.secureContextFor('a.localhost', undefined), {
      ca: authority.certificatePem,
      name: 'a.localhost',
    });
    renewCa(folder, Date.now());
    authority.reload();
    const heard = new Promise<string>((resolve) => {
      let text = '';
      client.on('data', (chunk) => {
        text += String(chunk);
        if (text.endsWith('still here')) resolve(text);
      });
    });
    client.write('still here');
    expect(await heard).toContain('still here');
  });

  it('sends its leaf alone while there is no older CA to remember', async () => {
    const { authority } = opened();
    const client = await handshake(authority.secureContextFor('a.localhost', undefined), { rejectUnauthorized: false });
    const shown = client.getPeerCertificate(true);
    expect(shown.issuerCertificate).toBeUndefined();
  });

  it('an old CA that has ended is neither offered nor sent', async () => {
    const folder = testFolder();
    const longAgo = Date.now() - 3700 * DAY_MS;
    openAuthority(folder, { now: () => longAgo });
    renewCa(folder, Date.now());
    const authority = openAuthority(folder);
    expect(authority.bundlePem).toBe(authority.certificatePem);
    const client = await handshake(authority.secureContextFor('a.localhost', undefined), { rejectUnauthorized: false });
    expect(client.getPeerCertificate(true).issuerCertificate).toBeUndefined();
  });

  it('cut off before its last step is finished at the next start', () => {
    const { folder } = opened();
    renewCa(folder, Date.now());
    const renewed = new X509Certificate(read(folder, CA_FILES.certificate));
    copyFileSync(join(folder, CA_FILES.previous), join(folder, CA_FILES.certificate));
    const authority = openAuthority(folder);
    const finished = new X509Certificate(authority.certificatePem);
    expect(finished.subject).toBe(renewed.subject);
    expect(finished.checkPrivateKey(createPrivateKey(read(folder, CA_FILES.key)))).toBe(true);
    expect(authority.certificatePem).toBe(read(folder, CA_FILES.certificate));
  });

  it('does not run twice at once', () => {
    const { folder, authority } = opened();
    writeFileSync(join(folder, CA_FILES.renewing), '');
    expect(() => renewCa(folder, Date.now())).toThrow(/another renewal is running; if none is, remove this file/);
    expect(openAuthority(folder).fingerprint).toBe(authority.fingerprint);
  });

  it('that cannot be used leaves the running authority as it was', () => {
    const { folder, authority } = opened();
    const before = authority.fingerprint;
    writeFileSync(join(folder, CA_FILES.certificate), 'x');
    expect(() => authority.reload()).toThrow(CaError);
    expect(authority.fingerprint).toBe(before);
    expect(() => authority.secureContextFor('a.localhost', undefined)).not.toThrow();
  });
});

describe('warnings', () => {
  const atDaysBeforeEnd = (days: number): readonly string[] => {
    const { folder, authority } = opened();
    const end = Date.parse(new X509Certificate(authority.certificatePem).validTo);
    return openAuthority(folder, { now: () => end - days * DAY_MS }).warnings;
  };

  it('say nothing while all is well', () => {
    expect(opened().authority.warnings).toEqual([]);
    expect(atDaysBeforeEnd(61)).toEqual([]);
  });

  it('announce the end of the CA 60 days ahead', () => {
    expect(atDaysBeforeEnd(59)).toEqual([
      expect.stringMatching(
        /^The CA certificate expires on \d{4}-\d\d-\d\d, in 59 days: run "crawlgate ca renew" and give clients the new one$/,
      ),
    ]);
  });

  it('say that the CA has ended', () => {
    expect(atDaysBeforeEnd(-3)).toEqual([expect.stringMatching(/^The CA certificate expired on /)]);
  });
});
