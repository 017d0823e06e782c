/** Holds the import lines of `src` to the arrows of docs/architecture.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = resolve(import.meta.dirname, '../src');

/** Which folders a folder may import from, besides itself. Files at the top (main, app) may import anything. */
const ARROWS: Record<string, readonly string[]> = {
  model: [],
  policy: ['model'],
  pipeline: ['model', 'policy'],
  store: ['model', 'policy', 'pipeline/ports.ts', 'pipeline/store-port.ts'],
  outbound: ['model', 'policy', 'pipeline/ports.ts'],
  inbound: ['model', 'policy', 'pipeline'],
  api: ['model', 'policy', 'pipeline'],
  observe: ['model', 'pipeline/ports.ts'],
  config: ['model', 'policy'],
  cli: [
    'model',
    'policy',
    'config',
    'inbound/authority.ts',
    'observe',
    'api/admin.ts',
    'app.ts',
    'store/data-folder.ts',
  ],
};

/** A package has one home; nothing else imports it. */
const HOMES: Record<string, readonly string[]> = {
  'http-mitm-proxy': ['inbound/listener.ts'],
  'node-forge': ['inbound/certificate.ts'],
  ioredis: ['store/redis.ts'],
  got: ['outbound/probe.ts', 'config/lists.ts'],
  pino: ['observe/log.ts'],
  'pino-pretty': ['observe/log.ts'],
  zod: ['config/schema.ts', 'config/rules-schema.ts'],
  yaml: ['config/load.ts'],
  'prom-client': ['observe/metrics.ts'],
  'tough-cookie': ['policy/cookies.ts'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'));

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(SRC, file), 'utf8').matchAll(
      /^\s*(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'/gm,
    ),
  ].map((match) => (match[1] ?? match[2]) as string);

const inside = (file: string, specifier: string): string =>
  relative(SRC, resolve(dirname(join(SRC, file)), specifier)).replaceAll('\\', '/');

const allowed = (file: string, target: string): boolean => {
  const folder = file.split('/')[0] as string;
  if (!file.includes('/')) return true;
  const arrows = ARROWS[folder];
  return arrows !== undefined && [folder, ...arrows].some((to) => target === to || target.startsWith(`${to}/`));
};

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const checkImport = (file: string, specifier: string): void => {
  if (specifier.startsWith('.')) {
    expect(allowed(file, inside(file, specifier)), `${file} imports ${specifier}`).toBe(true);
    return;
  }
  if (specifier.startsWith('node:')) return;
  const name = packageOf(specifier);
  const homes = HOMES[name];
  if (homes) expect(homes, `${name} is used outside its home`).toContain(file);
};

describe('imports point inward', () => {
  it.each(files)('%s', (file) => {
    for (const specifier of importsOf(file)) checkImport(file, specifier);
  });
});
