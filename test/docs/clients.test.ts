/** Holds the pages on clients to what is there: every page is listed, every link leads somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'docs/clients');
const pages = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));

const linksIn = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
    .map(([, link]) => link as string)
    .filter((link) => !/^[a-z]+:/.test(link));

describe('pages on clients', () => {
  it('are all listed', () => {
    const listed = linksIn(join(FOLDER, 'README.md'));
    expect([...listed].sort()).toEqual(pages.filter((name) => name !== 'README.md').sort());
  });

  it.each([...pages.map((name) => join('docs/clients', name)), 'README.md', 'CONTRIBUTING.md'])(
    '%s has no link that leads nowhere',
    (name) => {
      const file = join(ROOT, name);
      for (const link of linksIn(file)) expect(existsSync(join(dirname(file), link)), link).toBe(true);
    },
  );
});
