/** Ban rules for tests: the built-in ones, and rules written as YAML, asked about responses written briefly. */
import { parse } from 'yaml';
import { loadRules } from '../../src/config/rules.ts';
import { isRule, readRules } from '../../src/config/rules-schema.ts';
import { type BanRules, compileRules, isOpen, type Judgement } from '../../src/policy/ban.ts';
import type { BanRule } from '../../src/policy/ban-rule.ts';
import { askedFor } from '../../src/policy/ban-sample.ts';

const loaded = loadRules(undefined);
if (!loaded.rules) throw new Error(loaded.errors.join('\n'));

export const BUILT_IN: readonly BanRule[] = loaded.rules;
export const builtIn: BanRules = compileRules(BUILT_IN);

/** The lines of `rules:`. */
export const rulesFrom = (yaml: string): BanRules => {
  const { entries, problems } = readRules(parse(`version: 1\nrules:\n${yaml}`), true);
  if (!entries) throw new Error(problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  return compileRules(entries.filter(isRule));
};

export interface Given {
  readonly url?: string;
  readonly method?: string;
  readonly status?: number;
  readonly headers?: readonly string[];
  /** `undefined` = there is one, of unknown length, that cannot be read. */
  readonly body?: string | Buffer;
  readonly length?: number | undefined;
}

export const judgement = (rules: BanRules, given: Given): Judgement => {
  const { status = 200, headers = [] } = given;
  const body = given.body === undefined ? undefined : Buffer.from(given.body);
  const length = 'length' in given ? given.length : body?.length;
  const found = rules.judge(askedFor(given.url, given.method), { status, headers, length });
  return isOpen(found) ? found.judge(body) : found;
};

/** Id of the rule that makes it a ban. */
export const judged = (rules: BanRules, given: Given): string | undefined => judgement(rules, given).ban?.id;
