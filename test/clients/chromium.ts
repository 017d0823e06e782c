/** A real Chromium, when the machine has one: its version, and what it sends when an address is typed in. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);

/** Major version; `undefined` when there is no Chromium here. */
export const chromiumMajor = (): number | undefined => {
  if (PROGRAM === undefined) return undefined;
  try {
    const text = execFileSync(PROGRAM, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
    });
    const major = /(\d+)\.\d+\.\d+/.exec(text)?.[1];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined;
  }
};

/** As `--ignore-certificate-errors-spki-list` wants it. */
export const spkiHash = (cert: string): string =>
  createHash('sha256')
    .update(new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--lang=en-US',
  '--host-resolver-rules=MAP shop.example 127.0.0.1',
];

export interface Visit {
  readonly url: string;
  readonly userAgent: string;
  readonly spki: string;
}

const endGroup = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('close', () => resolve());
    process.kill(-child.pid, 'SIGKILL');
  });

/** Opens a page in a browser of its own, until `seen` resolves; then the browser and its profile are gone. */
export const visit = async <T>({ url, userAgent, spki }: Visit, seen: Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-chromium-'));
  const own = [
    `--user-data-dir=${folder}`,
    `--user-agent=${userAgent}`,
    `--ignore-certificate-errors-spki-list=${spki}`,
  ];
  // A process group of its own: the browser is several processes.
  const child = spawn(PROGRAM ?? 'chromium', [...FLAGS, ...own, url], { stdio: 'ignore', detached: true });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`Chromium ended (${signal ?? code}) before it sent a request`)),
    );
  });
  try {
    return await Promise.race([seen, failed]);
  } finally {
    await endGroup(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};
