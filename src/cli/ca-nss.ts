/** Puts the CA into an NSS database, the store of Chromium and Firefox on Linux, with `certutil` of libnss3-tools. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CaError } from '../inbound/authority.ts';

/** By this name ours is found again, and replaced when it is an older one. */
export const NICKNAME = 'crawlgate';
/** Trusted to identify web sites; not for mail, not for code. */
const TRUST = 'C,,';
const DEADLINE_MS = 20_000;
/** More certificates of one name than renewals ever leave behind: something else is wrong. */
const MAX_OLD = 16;

interface Done {
  readonly ok: boolean;
  readonly out: string;
  /** Last line of what certutil complained about. */
  readonly complaint: string;
}

type Certutil = (args: readonly string[], input?: string) => Done;

const absent = (): CaError =>
  new CaError('certutil is not installed: it comes with libnss3-tools (Debian, Ubuntu) or nss-tools (Fedora, RHEL)');

const certutilFor =
  (database: string): Certutil =>
  (args, input = '') => {
    const options = { encoding: 'utf8', timeout: DEADLINE_MS, input } as const;
    const { error, status, stdout, stderr } = spawnSync('certutil', ['-d', `sql:${database}`, ...args], options);
    if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') throw absent();
    if (error) throw new CaError(`certutil: ${error.message}`);
    const complaint = (stderr.trim().split('\n').at(-1) ?? '').replace(/^certutil: /, '');
    return { ok: status === 0, out: stdout, complaint };
  };

/** `~/.pki/nssdb` and `sql:~/.pki/nssdb` are the same place; the old Berkeley format is no longer read by anyone. */
const folderOf = (place: string): string => {
  if (place.startsWith('dbm:'))
    throw new CaError(`${place}: databases of the old format dbm are not supported, use sql`);
  const folder = place.startsWith('sql:') ? place.slice('sql:'.length) : place;
  if (folder === '') throw new CaError('--nss needs the folder of the NSS database');
  return resolve(folder);
};

const must = (folder: string, what: string, { ok, complaint }: Done): void => {
  if (!ok) throw new CaError(`${folder}: ${what} (certutil: ${complaint})`);
};

const makeDatabase = (folder: string, certutil: Certutil): void => {
  // Asked first, so that a missing program leaves no empty folder.
  certutil(['-H']);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CaError(`${folder}: cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
  must(folder, 'no NSS database can be made here', certutil(['-N', '--empty-password']));
};

const ours = (certutil: Certutil): X509Certificate | undefined => {
  const { ok, out } = certutil(['-L', '-n', NICKNAME, '-a']);
  return ok ? new X509Certificate(out) : undefined;
};

const removeOlder = (folder: string, certutil: Certutil): void => {
  for (let left = MAX_OLD; left > 0 && ours(certutil); left--)
    must(folder, 'the older CA cannot be removed', certutil(['-D', '-n', NICKNAME]));
};

export type Installed = 'added' | 'replaced' | 'there already';

export interface NssResult {
  readonly folder: string;
  readonly what: Installed;
}

/**
 * Makes browsers that use the database in `place` (a folder, `sql:` before it or not) trust the CA for web sites. Makes
 * the database where there is none, replaces an older CA of ours, and changes nothing the second time. Throws `CaError`.
 */
export const installNss = (place: string, certificate: X509Certificate, pem: string): NssResult => {
  const folder = folderOf(place);
  const certutil = certutilFor(folder);
  if (!existsSync(join(folder, 'cert9.db'))) makeDatabase(folder, certutil);
  const before = ours(certutil);
  if (before?.fingerprint256 === certificate.fingerprint256) {
    must(folder, 'the CA cannot be trusted', certutil(['-M', '-n', NICKNAME, '-t', TRUST]));
    return { folder, what: 'there already' };
  }
  removeOlder(folder, certutil);
  must(folder, 'the CA cannot be added', certutil(['-A', '-n', NICKNAME, '-t', TRUST], pem));
  return { folder, what: before === undefined ? 'added' : 'replaced' };
};
