/** A checkout of its own, built from the sources as they are now: a stale `dist` cannot fool a test. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const COPIED = [
  'src',
  'config',
  'package.json',
  'package-lock.json',
  '.npmrc',
  'tsconfig.json',
  'tsconfig.build.json',
  'README.md',
];

export interface Checkout {
  readonly folder: string;
  /** The built program. */
  readonly main: string;
  remove(): void;
}

/** As after `npm ci`, but that the packages are linked rather than copied. */
export const makeCheckout = (): Checkout => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-checkout-'));
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const built = spawnSync('npm', ['run', 'build'], { cwd: folder, encoding: 'utf8' });
  const main = join(folder, 'dist/main.js');
  // Types are another check's business.
  if (!existsSync(main)) throw new Error(`the build failed: ${built.stdout}${built.stderr}`);
  chmodSync(main, 0o755);
  return { folder, main, remove: () => rmSync(folder, { recursive: true, force: true }) };
};
