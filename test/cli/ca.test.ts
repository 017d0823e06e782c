import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { CA_FILES, openAuthority } from '../../src/inbound/authority.ts';
import { testFolder } from '../inbound/certificate-support.ts';

const run = async (folder: string, ...args: string[]): Promise<{ status: number; lines: string[] }> => {
  const lines: string[] = [];
  const status = await runCa(args, folder, (line) => lines.push(line));
  return { status, lines };
};

describe('crawlgate ca', () => {
  it('print shows the certificate that the proxy uses', async () => {
    const folder = testFolder();
    const authority = openAuthority(folder);
    expect(await run(folder, 'print')).toEqual({ status: 0, lines: [authority.certificatePem.trimEnd()] });
  });

  it.each(['fingerprint', '--print-fingerprint'])(
    '%s shows the SHA-256 of the certificate and nothing else',
    async (word) => {
      const folder = testFolder();
      const authority = openAuthority(folder);
      expect(await run(folder, word)).toEqual({ status: 0, lines: [authority.fingerprint] });
      expect(authority.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    },
  );

  it('makes the CA when there is none yet, the one that the proxy then starts with', async () => {
    const folder = join(testFolder(), 'certs');
    const { lines } = await run(folder, 'fingerprint');
    expect(openAuthority(folder).fingerprint).toBe(lines[0]);
  });

  it('export writes the certificate, again and again', async () => {
    const folder = testFolder();
    const file = join(testFolder(), 'exported.pem');
    for (let i = 0; i < 2; i++) {
      const { status, lines } = await run(folder, 'export', file);
      expect(status).toBe(0);
      expect(lines).toEqual([expect.stringContaining(`${file}: CA certificate, valid until 20`)]);
      expect(readFileSync(file, 'utf8')).toBe(openAuthority(folder).certificatePem);
    }
  });

  it('export overwrites no private key and tells what it cannot write', async () => {
    const folder = testFolder();
    openAuthority(folder);
    const keyFile = join(folder, CA_FILES.key);
    const key = readFileSync(keyFile, 'utf8');
    expect(await run(folder, 'export', keyFile)).toEqual({
      status: 1,
      lines: [`${keyFile}: holds a private key, not overwritten`],
    });
    expect(readFileSync(keyFile, 'utf8')).toBe(key);
    const nowhere = join(folder, 'no', 'such', 'folder', 'x.crt');
    expect(await run(folder, 'export', nowhere)).toEqual({
      status: 1,
      lines: [`${nowhere}: cannot be written (ENOENT)`],
    });
  });

  it('C-05 renew makes a new CA, keeps the old certificate and says how to go on', async () => {
    const folder = testFolder();
    const before = openAuthority(folder);
    const { status, lines } = await run(folder, 'renew');
    const after = openAuthority(folder);
    expect(status).toBe(0);
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(lines[0]).toContain(after.fingerprint);
    expect(lines.join('\n')).toMatch(/reloaded \(SIGHUP\) or restarted/);
    const previous = new X509Certificate(readFileSync(join(folder, CA_FILES.previous)));
    expect(previous.fingerprint256).toBe(before.fingerprint);
    expect(statSync(join(folder, CA_FILES.key)).mode & 0o777).toBe(0o600);
  });

  it('robustness C07 never shows the key, whatever it is asked', async () => {
    const folder = testFolder();
    openAuthority(folder);
    const file = join(testFolder(), 'exported.pem');
    const keys = [readFileSync(join(folder, CA_FILES.key), 'utf8')];
    const said: string[] = [];
    for (const args of [['print'], ['fingerprint'], ['export', file], ['renew'], ['print'], ['nonsense'], []]) {
      said.push(...(await run(folder, ...args)).lines);
      keys.push(readFileSync(join(folder, CA_FILES.key), 'utf8'));
    }
    const shown = [...said, readFileSync(file, 'utf8')].join('\n');
    expect(shown).not.toContain('PRIVATE');
    for (const key of keys) for (const line of key.split('\n').slice(1, 3)) expect(shown).not.toContain(line);
  });

  it('robustness C07 renew does not touch a key that others can read; the certificate may still be shown', async () => {
    const folder = testFolder();
    openAuthority(folder);
    const key = join(folder, CA_FILES.key);
    const before = readFileSync(key, 'utf8');
    chmodSync(key, 0o644);
    const { status, lines } = await run(folder, 'renew');
    expect(status).toBe(1);
    expect(lines).toEqual([expect.stringContaining(`run: chmod 600 ${key}`)]);
    expect(readFileSync(key, 'utf8')).toBe(before);
    expect((await run(folder, 'print')).status).toBe(0);
  });

  it('a file that is no certificate is named, not shown', async () => {
    const folder = testFolder();
    writeFileSync(join(folder, CA_FILES.certificate), 'SOMETHING ELSE');
    const { status, lines } = await run(folder, 'print');
    expect({ status, lines }).toEqual({
      status: 1,
      lines: [`${join(folder, CA_FILES.certificate)}: not a certificate in PEM form`],
    });
  });

  it.each([[], ['nonsense'], ['toString'], ['export'], ['export', 'a', 'b'], ['print', 'extra']])(
    'explains itself for %j and makes nothing',
    async (...args) => {
      const folder = join(testFolder(), 'certs');
      const { status, lines } = await run(folder, ...args);
      expect(status).toBe(2);
      expect(lines.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
        'crawlgate ca print',
        'crawlgate ca export',
        'crawlgate ca fingerprint',
        'crawlgate ca renew',
      ]);
      expect(existsSync(folder)).toBe(false);
    },
  );

  it('leaves no temporary file behind', async () => {
    const folder = testFolder();
    await run(folder, 'print');
    await run(folder, 'renew');
    expect(readdirSync(folder).sort()).toEqual(
      [CA_FILES.certificate, CA_FILES.cross, CA_FILES.key, CA_FILES.previous].sort(),
    );
  });
});
