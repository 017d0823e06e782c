import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hashKey } from '../../src/config/accounts.ts';
import { KeyFileError, keepKey, withAdminKey, withFirstKey } from '../../src/config/first-key.ts';
import { makeLoader, scratchFolder } from './support.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('the first key', () => {
  it('robustness C10 is made once, readable by its owner alone, and read again later', () => {
    const data = join(scratchFolder(), 'deep', 'data');
    const first = keepKey(data, 'api-key');
    expect(first).toMatchObject({ made: true, file: join(data, 'api-key') });
    expect(first.key).toMatch(/^[0-9a-f]{32}$/);
    expect(statSync(first.file).mode & 0o777).toBe(0o600);
    expect(keepKey(data, 'api-key')).toEqual({ ...first, made: false });
    expect(readdirSync(data)).toEqual(['api-key']);
  });

  it('may be changed by hand, and is closed to others when it was open', () => {
    const data = scratchFolder();
    writeFileSync(join(data, 'api-key'), '  my-own-key \r\n', { mode: 0o644 });
    expect(keepKey(data, 'api-key')).toMatchObject({ key: 'my-own-key', made: false });
    expect(statSync(join(data, 'api-key')).mode & 0o777).toBe(0o600);
  });

  it('in a file that holds none is an error that names the file and not what it holds', () => {
    const data = scratchFolder();
    writeFileSync(join(data, 'api-key'), 'two canary words');
    expect(() => keepKey(data, 'api-key')).toThrow(/api-key: holds no key; write one into it/);
    writeFileSync(join(data, 'api-key'), '');
    expect(() => keepKey(data, 'api-key')).toThrow(/api-key: is empty/);
    mkdirSync(join(data, 'admin-key'));
    expect(() => keepKey(data, 'admin-key')).toThrow(KeyFileError);
    writeFileSync(join(data, 'no-folder'), '');
    expect(() => keepKey(join(data, 'no-folder'), 'api-key')).toThrow(KeyFileError);
  });

  it('becomes the account default; a configured account needs none', () => {
    const { settings, cwd } = makeLoader();
    const made = withFirstKey(settings('data: kept'));
    expect(made.kept?.file).toBe(join(cwd, 'kept', 'api-key'));
    expect(made.settings.accounts).toMatchObject([
      { account: { id: 'default', plan: 'enterprise' }, keySha256: hashKey(made.kept?.key ?? '') },
    ]);
    expect(withFirstKey(settings('accounts: [{ key: k }]')).kept).toBeUndefined();
  });

  it('of the admin listener is kept beside it', () => {
    const { settings, cwd } = makeLoader();
    const { settings: own, kept } = withAdminKey(settings(''));
    expect(own.admin.key).toBe(readFileSync(join(cwd, 'data', 'admin-key'), 'utf8').trim());
    expect(kept?.made).toBe(true);
    expect(withAdminKey(settings('admin: { key: abc }')).kept).toBeUndefined();
  });

  it('is one key when several processes start at once', async () => {
    const data = join(scratchFolder(), 'data');
    const module = pathToFileURL(join(ROOT, 'src/config/first-key.ts')).href;
    const script = `import { keepKey } from '${module}';
      process.stdout.write('ready');
      process.stdin.once('data', () => {
        process.stdout.write(JSON.stringify(keepKey(${JSON.stringify(data)}, 'api-key')));
        process.exit();
      });`;
    const file = join(scratchFolder(), 'child.mts');
    writeFileSync(file, script);
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    await Promise.all(children.map((child) => once(child.stdout, 'data')));
    const answers = Promise.all(children.map(rest));
    for (const child of children) child.stdin.write('go');
    const keys = (await answers).map((text) => JSON.parse(text) as { key: string; made: boolean });
    expect(new Set(keys.map(({ key }) => key)).size).toBe(1);
    expect(keys.filter(({ made }) => made)).toHaveLength(1);
    expect(readdirSync(data)).toEqual(['api-key']);
  });
});

const rest = async (child: ChildProcess): Promise<string> => {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  return text;
};
