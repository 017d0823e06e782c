import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeLoader } from './support.ts';

const { cwd, load, settings } = makeLoader();

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('secrets', () => {
  it('come from the environment and from files, wherever text stands', () => {
    writeFileSync(join(cwd, 'admin.key'), 'adm\r\n');
    writeFileSync(join(cwd, 'upstream.url'), 'http://u:p%40@gw.example:1\n');
    const loaded = settings(
      'accounts: [{ key: env:KEY }]\nadmin: { key: file:admin.key }\nupstreams: [{ url: file:upstream.url }]\nstore: env:STORE',
      { KEY: 'abc', STORE: 'rediss://:pw@redis.example:6380/2' },
    );
    expect(loaded.accounts[0]?.keySha256).toBe(sha256('abc'));
    expect(loaded.admin.key).toBe('adm');
    expect(loaded.upstreams[0]).toMatchObject({ username: 'u', password: 'p@' });
    expect(loaded.store).toBe('rediss://:pw@redis.example:6380/2');
  });

  it('that are missing are errors, one each and nothing further about the same place', () => {
    writeFileSync(join(cwd, 'empty'), '\n');
    const text = 'accounts:\n  - key: env:NIX\nadmin:\n  key: file:nix\nstore: file:empty\noperatorContact: "env:"';
    expect(load(text, { NIX: '' }).errors).toEqual([
      'c.yaml:2: accounts[0].key: the environment variable NIX is not set',
      'c.yaml:4: admin.key: the file of this secret cannot be read (ENOENT)',
      'c.yaml:5: store: the file of this secret is empty',
      'c.yaml:6: operatorContact: expected the name of an environment variable after env:',
    ]);
  });
});

describe('environment variables', () => {
  it('win over the file', () => {
    const loaded = settings(
      'listen: { host: 127.0.0.2, port: 1, http2: true }\nstore: redis://a\nadmin: { key: a, port: 9 }',
      {
        CRAWLGATE_HOST: '0.0.0.0',
        CRAWLGATE_PORT: '8123',
        CRAWLGATE_STORE: 'redis://b:6379/1',
        CRAWLGATE_ADMIN_KEY: 'b',
      },
    );
    expect(loaded.listen).toMatchObject({ host: '0.0.0.0', port: 8123, http2: true });
    expect(loaded.store).toBe('redis://b:6379/1');
    expect(loaded.admin).toEqual({ host: '127.0.0.1', port: 9, key: 'b' });
  });

  it('count as unset when empty, or when Kubernetes has put an address into CRAWLGATE_PORT', () => {
    expect(settings('', { CRAWLGATE_PORT: '', CRAWLGATE_HOST: '', CRAWLGATE_API_KEY: '' })).toEqual(settings(''));
    expect(settings('', { CRAWLGATE_PORT: 'tcp://10.0.0.1:8010' }).listen.port).toBe(8010);
  });

  it('CRAWLGATE_API_KEY makes the account default, or is the key of the only account', () => {
    const keys = (text: string) =>
      settings(text, { CRAWLGATE_API_KEY: 'envkey' }).accounts.map(({ account, keySha256 }) => [
        account.id,
        keySha256 === sha256('envkey'),
      ]);
    expect(keys('')).toEqual([['default', true]]);
    expect(keys(`accounts: [{ id: demo, keySha256: ${sha256('x')}, plan: c10 }]`)).toEqual([['demo', true]]);
    expect(keys('accounts: [{ id: a, key: x }, { id: default, key: y }]')).toEqual([
      ['a', false],
      ['default', true],
    ]);
    expect(keys('accounts: [{ id: a, key: x }, { id: b, key: y }]')).toEqual([
      ['a', false],
      ['b', false],
      ['default', true],
    ]);
  });

  it('are named in errors about their values, which are not', () => {
    const env = { CRAWLGATE_PORT: 'canary', CRAWLGATE_API_KEY: 'can ary', CRAWLGATE_STORE: 'mysql://canary' };
    const { errors } = load('', env);
    expect(errors.map((error) => error.split(': ').slice(0, 2))).toEqual([
      ['environment CRAWLGATE_PORT', 'listen.port'],
      ['environment CRAWLGATE_STORE', 'store'],
      ['environment CRAWLGATE_API_KEY', 'accounts[0].key'],
    ]);
    expect(errors.join()).not.toMatch(/can ?ary/);
  });
});
