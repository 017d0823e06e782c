/** `crawlgate ca install --nss`: what certutil finds in the database afterwards. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { openAuthority } from '../../src/inbound/authority.ts';
import { testFolder } from '../inbound/certificate-support.ts';

const hasCertutil = spawnSync('certutil', ['-H']).error === undefined;
if (!hasCertutil) process.stderr.write('absent, not tried: certutil (libnss3-tools)\n');

const install = async (folder: string, database: string): Promise<{ status: number; lines: string[] }> => {
  const lines: string[] = [];
  const status = await runCa(['install', '--nss', database], folder, (line) => lines.push(line));
  return { status, lines };
};

const certutil = (database: string, ...args: string[]): string =>
  execFileSync('certutil', ['-d', `sql:${database}`, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** Nicknames with their trust. */
const listed = (database: string): string[] =>
  certutil(database, '-L')
    .split('\n')
    .slice(3)
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '');

const pemIn = (database: string): string =>
  certutil(database, '-L', '-n', 'crawlgate', '-a').replaceAll('\r', '').trim();

describe.runIf(hasCertutil)('crawlgate ca install --nss', () => {
  it('makes the database, adds the CA for web sites only, and the second time changes nothing', async () => {
    const folder = testFolder();
    const database = join(testFolder(), 'a home', '.pki', 'nssdb');
    const { fingerprint, certificatePem } = openAuthority(folder);
    const line = (what: string): object => ({
      status: 0,
      lines: [`${database}: CA certificate ${what}, SHA-256 ${fingerprint}`],
    });
    expect(await install(folder, database)).toEqual(line('added'));
    expect(listed(database)).toEqual(['crawlgate C,,']);
    expect(pemIn(database)).toBe(certificatePem.trim());
    expect(await install(folder, `sql:${database}`)).toEqual(line('there already'));
    expect(listed(database)).toEqual(['crawlgate C,,']);
  });

  it('C-05 replaces an older CA of ours and leaves what else is there', async () => {
    const database = testFolder();
    const [older, other, present] = [testFolder(), testFolder(), testFolder()] as const;
    await install(older, database);
    writeFileSync(join(other, 'other.pem'), openAuthority(other).certificatePem);
    certutil(database, '-A', '-n', 'another', '-t', 'C,,', '-i', join(other, 'other.pem'));
    const { lines } = await install(present, database);
    expect(lines[0]).toContain('CA certificate replaced');
    expect(listed(database)).toEqual(['another C,,', 'crawlgate C,,']);
    expect(pemIn(database)).toBe(openAuthority(present).certificatePem.trim());
  });

  it('trusts it again where trust was taken away', async () => {
    const folder = testFolder();
    const database = testFolder();
    await install(folder, database);
    certutil(database, '-M', '-n', 'crawlgate', '-t', ',,');
    expect(listed(database)).toEqual(['crawlgate ,,']);
    await install(folder, database);
    expect(listed(database)).toEqual(['crawlgate C,,']);
  });

  it('tells where no database can be, and what is no database', async () => {
    const folder = testFolder();
    const file = join(testFolder(), 'a-file');
    writeFileSync(file, '');
    expect(await install(folder, join(file, 'nssdb'))).toEqual({
      status: 1,
      lines: [`${file}/nssdb: cannot be made (ENOTDIR)`],
    });
    const broken = testFolder();
    writeFileSync(join(broken, 'cert9.db'), 'this is no database');
    const { status, lines } = await install(folder, broken);
    expect(status).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/: the CA cannot be added \(certutil: .+\)$/)]);
    expect(readFileSync(join(broken, 'cert9.db'), 'utf8')).toBe('this is no database');
  });

  it.each(['sql:', ''])('wants a folder after %j', async (place) => {
    expect(await install(testFolder(), place)).toEqual({
      status: 1,
      lines: ['--nss needs the folder of the NSS database'],
    });
  });

  it('does not take a database of the old format', async () => {
    const { status, lines } = await install(testFolder(), 'dbm:/tmp/x');
    expect({ status, lines }).toEqual({
      status: 1,
      lines: ['dbm:/tmp/x: databases of the old format dbm are not supported, use sql'],
    });
  });
});

describe('crawlgate ca install --nss without certutil', () => {
  it('names the package, and makes no folder', async () => {
    const path = process.env['PATH'];
    onTestFinished(() => {
      process.env['PATH'] = path;
    });
    const empty = testFolder();
    mkdirSync(join(empty, 'bin'));
    process.env['PATH'] = join(empty, 'bin');
    const database = join(empty, 'nssdb');
    expect(await install(testFolder(), database)).toEqual({
      status: 1,
      lines: ['certutil is not installed: it comes with libnss3-tools (Debian, Ubuntu) or nss-tools (Fedora, RHEL)'],
    });
    expect(existsSync(database)).toBe(false);
  });
});
