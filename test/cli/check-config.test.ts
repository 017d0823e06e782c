import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/cli/check-config.ts';

const cwd = mkdtempSync(join(tmpdir(), 'crawlgate-check-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const check = (text: string, env: Record<string, string> = {}) => {
  writeFileSync(join(cwd, 'c.yaml'), text);
  const out: string[] = [];
  const err: string[] = [];
  const status = checkConfig({
    config: 'c.yaml',
    env,
    cwd,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
  });
  return { status, out, err };
};

describe('check-config', () => {
  it('says OK, shows what the file comes to, and makes nothing', () => {
    const { status, out, err } = check(
      'listen: { port: 8123, tls: {} }\nupstreams: [{ url: "http://u:p@gw.example:1", region: us }]',
    );
    expect(status).toBe(0);
    expect(err).toEqual([]);
    expect(out[0]).toBe('OK');
    expect(out).toContain('listen: 127.0.0.1:8123, TLS 127.0.0.1:8014');
    expect(out).toContain('upstreams: http gw.example:1 us');
    expect(out).toContain('accounts: one, its key made at first start');
    expect(readdirSync(cwd)).toEqual(['c.yaml']);
  });

  it('puts every mistake on a line of standard error and fails', () => {
    const { status, out, err } = check('listen: { port: x }\nworkers: 0');
    expect(status).toBe(1);
    expect(out).toEqual([]);
    expect(err).toEqual([
      'c.yaml:1: listen.port: expected a whole number from 0 to 65535',
      'c.yaml:2: workers: expected a whole number from 1 to 256',
    ]);
  });

  it('reads the list of user agents too', () => {
    writeFileSync(join(cwd, 'agents.yaml'), '- curl/8');
    const { status, err } = check('userAgents: ./agents.yaml');
    rmSync(join(cwd, 'agents.yaml'));
    expect([status, err.length]).toEqual([1, 1]);
    expect(err[0]).toMatch(/agents\.yaml:1: \[0\]: expected the whole user agent of Chrome, Edge, Firefox or Safari/);
  });

  it('robustness C11 shows no secret', () => {
    const { status, out } = check(
      `accounts: [{ id: demo, key: canary1 }]
admin: { key: env:ADMIN }
store: redis://user:canary3@redis.example:6379/1
upstreams:
  - url: http://user:canary4@gw.example:1
  - list: https://u:canary5@provider.example/canary6?token=canary7
  - url: http://canary8-{session}:x@gw.example:1
    rotating: true`,
      { ADMIN: 'canary2' },
    );
    expect(status).toBe(0);
    expect(out.join('\n')).not.toContain('canary');
    expect(out).toContain('store: redis://redis.example:6379/1');
    expect(out).toContain('upstream lists: provider.example');
  });

  it('names ten of many upstreams and counts the rest', () => {
    const { out } = check(
      `upstreams: [${Array.from({ length: 30 }, (_, i) => `{ url: http://h${i}.example }`).join(', ')}]`,
    );
    expect(out.find((line) => line.startsWith('upstreams:'))).toMatch(/http h9\.example:80 and 20 more$/);
  });
});
