/** The saved responses of `test/fixtures/bans`: many in a file, each after a line `=== rule[, rule]: what it is`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseSample, type Sample } from '../../src/policy/ban-sample.ts';

export interface Specimen {
  readonly name: string;
  /** Blocks: the rule that has to catch it. Good ones: rules it comes near to. */
  readonly rules: readonly string[];
  readonly sample: Sample;
}

const FOLDER = resolve(import.meta.dirname, '../fixtures/bans');

const specimen = (text: string): Specimen => {
  const end = text.indexOf('\n');
  const [, rules = '', name = ''] = /^(?:([\w-]+(?:, [\w-]+)*): )?(.*)$/.exec(text.slice(0, end)) ?? [];
  // The blank line before the next specimen is not part of the body.
  const sample = parseSample(
    Buffer.from(text.slice(end + 1).replace(/\n\n?$/, (tail) => (tail === '\n\n' ? '\n' : tail))),
  );
  if (!sample) throw new Error(`no status line: ${name}`);
  return { name, rules: rules === '' ? [] : rules.split(', '), sample };
};

export const specimensOf = (kind: 'good' | 'block'): Specimen[] =>
  readdirSync(join(FOLDER, kind)).flatMap((file) =>
    readFileSync(join(FOLDER, kind, file), 'utf8')
      .split(/^=== /m)
      .slice(1)
      .map(specimen),
  );
