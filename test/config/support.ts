/** Loads configuration texts from a folder of its own, removed with the test file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type Loaded, loadSettings } from '../../src/config/load.ts';
import type { Environment } from '../../src/config/secrets.ts';
import type { Settings } from '../../src/model/settings.ts';

export const scratchFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-config-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

export const makeLoader = (cwd = scratchFolder()) => {
  const load = (text: string | Uint8Array, env: Environment = {}): Loaded => {
    writeFileSync(join(cwd, 'c.yaml'), text);
    return loadSettings({ file: 'c.yaml', explicit: true, env, cwd });
  };
  const settings = (text: string, env: Environment = {}): Settings => {
    const loaded = load(text, env);
    if (!loaded.settings) throw new Error(loaded.errors.join('\n'));
    return loaded.settings;
  };
  return { cwd, load, settings };
};
