import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { CA_FILES, openAuthority } from '../../src/inbound/authority.ts';
import { testFolder } from '../inbound/certificate-support.ts';

const run = async (folder: string, ...args: string[]): Promise<{ status: number; lines: string[] }> => {
  const lines: string[] = [];
  const status = await runCa(args, folder, (line) => lines.push(line));
  return { status, lines };
};

const has = (program: string): boolean => spawnSync(program, ['version']).error === undefined;

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
    const words = ['print', 'fingerprint', 'path', `export ${file}`, 'renew', 'print', 'install --system', 'nonsense'];
    for (const args of [[], ...words.map((word) => word.split(' '))]) {
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

  it.each([
    [['nonsense']],
    [['toString']],
    [['export']],
    [['export', 'a', 'b']],
    [['print', 'extra']],
    [['install']],
    [['install', '--nss']],
    [['install', '--system', 'extra']],
    [['install', '--all']],
  ])('explains itself for %j and makes nothing', async (args) => {
    const folder = join(testFolder(), 'certs');
    const { status, lines } = await run(folder, ...args);
    expect(status).toBe(2);
    expect(lines.map((line) => /^crawlgate ca (.*?) {2}/.exec(line)?.[1])).toEqual([
      '',
      'path',
      'print',
      'export FILE',
      'fingerprint',
      'install --nss DIR',
      'install --system',
      'renew',
    ]);
    expect(existsSync(folder)).toBe(false);
  });

  it.each(['path', '--print-path'])('%s shows where the certificate is, whole, and nothing else', async (word) => {
    const folder = testFolder();
    const { status, lines } = await run(relative('.', folder), word);
    expect({ status, lines }).toEqual({ status: 0, lines: [join(folder, CA_FILES.certificate)] });
    expect(readFileSync(lines[0] ?? '', 'utf8')).toBe(openAuthority(folder).certificatePem);
  });

  it('alone it shows path, end, fingerprint and where each family of clients wants the file', async () => {
    const folder = testFolder();
    const { fingerprint } = openAuthority(folder);
    const { status, lines } = await run(folder);
    const text = lines.join('\n');
    expect(status).toBe(0);
    expect(lines[0]).toBe(`CA certificate: ${join(folder, CA_FILES.certificate)}`);
    expect(lines[1]).toMatch(new RegExp(`^Valid until 20\\d\\d-\\d\\d-\\d\\d, SHA-256 ${fingerprint}$`));
    for (const word of ['--cacert', 'REQUESTS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'keytool', '--nss', '--system'])
      expect(text).toContain(word);
    expect(text).not.toContain('<file>');
  });

  it('install --system shows commands for the machine and runs none; a path with spaces stays one word', async () => {
    const folder = join(testFolder(), "it's a folder");
    const { status, lines } = await run(folder, 'install', '--system');
    expect(status).toBe(0);
    const commands = lines.filter((line) => !line.startsWith('#'));
    expect(commands.length).toBe(lines.length / 2);
    for (const command of commands) expect(command).toContain(`it'\\''s a folder/${CA_FILES.certificate}'`);
    expect(lines).toContain('# Debian, Ubuntu');
  });

  it.runIf(has('openssl'))('--print-fingerprint is what openssl says', async () => {
    const folder = testFolder();
    openAuthority(folder);
    const file = join(folder, CA_FILES.certificate);
    const said = execFileSync('openssl', ['x509', '-in', file, '-noout', '-fingerprint', '-sha256'], {
      encoding: 'utf8',
    });
    expect((await run(folder, '--print-fingerprint')).lines).toEqual([said.trim().split('=')[1]]);
  });

  it('leaves no temporary file behind', async () => {
    const folder = testFolder();
    await run(folder, 'print');
    await run(folder, 'renew');
    expect(readdirSync(folder).sort()).toEqual(
      [CA_FILES.certificate, CA_FILES.cross, CA_FILES.key, CA_FILES.previous].sort(),
    );
  });
});
