/** A real Chromium under Playwright that trusts one CA the way a user's does: through the NSS database in its HOME. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type LaunchOptions } from 'playwright-core';
import { onTestFinished } from 'vitest';

const PROGRAM = '/usr/bin/chromium';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export interface TrustingOptions {
  /** As Playwright takes it: server, and user name and password when the browser is to answer the 407. */
  readonly proxy?: NonNullable<LaunchOptions['proxy']>;
  /** PEM of the certificate to trust for servers, and for a proxy reached over TLS. */
  readonly caFile: string;
  /** Flags beside the usual ones. */
  readonly args?: readonly string[];
}

const certutil = (database: string, ...args: readonly string[]): void => {
  execFileSync('certutil', ['-d', `sql:${database}`, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 20_000,
  });
};

/** A HOME whose certificate database trusts the CA to identify servers, and nothing else. */
const trustingHome = (caFile: string): string => {
  const home = mkdtempSync(join(tmpdir(), 'crawlgate-home-'));
  const database = join(home, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  certutil(database, '-N', '--empty-password');
  certutil(database, '-A', '-t', 'C,,', '-n', 'crawlgate', '-i', caFile);
  return home;
};

/** Starts a browser; call it inside a test, which closes it. Certificates are verified as ever: only the CA is added. */
export const launchChromium = async ({ proxy, caFile, args = [] }: TrustingOptions): Promise<Browser> => {
  const home = trustingHome(caFile);
  onTestFinished(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
  const browser = await chromium.launch({
    executablePath: PROGRAM,
    args: [...FLAGS, ...args],
    env: { PATH: process.env['PATH'] ?? '', HOME: home },
    timeout: 45_000,
    ...(proxy === undefined ? {} : { proxy }),
  });
  onTestFinished(() => browser.close());
  return browser;
};
