/** Replaces what a run measured in docs/benchmarks.md, between markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const DOCUMENT = join(import.meta.dirname, '../../docs/benchmarks.md');

/** Throws when the document lacks the markers of that section. */
export const writeSection = (name: string, text: string): void => {
  const document = readFileSync(DOCUMENT, 'utf8');
  const open = `<!-- ${name} -->\n`;
  const close = `<!-- /${name} -->`;
  const from = document.indexOf(open);
  const to = document.indexOf(close);
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no section "${name}"`);
  writeFileSync(DOCUMENT, `${document.slice(0, from + open.length)}\n${text}\n\n${document.slice(to)}`);
};
