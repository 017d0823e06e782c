/** The `rules` sub-command: lists the ban rules and tries them on saved responses. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { configFile, type LoadOptions, loadSettings } from '../config/load.ts';
import { loadRules } from '../config/rules.ts';
import { compileRules } from '../policy/ban.ts';
import type { BanRule } from '../policy/ban-rule.ts';
import { judgeSample, parseSample, type Sample } from '../policy/ban-sample.ts';

export interface RulesOptions extends Pick<LoadOptions, 'env' | 'cwd'> {
  readonly config: string | undefined;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

const USAGE = [
  'crawlgate rules list         every rule in order: id, verdict, vendor, websites',
  'crawlgate rules test FILE    check a rules file and run the tests its rules carry',
  '    --response SAVED         instead: judge a response saved with curl -i',
  '    --url URL --method M     what it is taken to answer (default: its own first line, or GET https://www.example.com/)',
];

const OPTIONS = { response: { type: 'string' }, url: { type: 'string' }, method: { type: 'string' } } as const;

const parseWords = (words: readonly string[]) =>
  parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true });

type Words = ReturnType<typeof parseWords>;

const usage = ({ err }: RulesOptions): number => {
  for (const line of USAGE) err(line);
  return 2;
};

const failed = (lines: readonly string[], { err }: RulesOptions): number => {
  for (const line of lines) err(line);
  return 1;
};

/** Exit status: 0, 1 for a broken file or a failed test, 2 for words that make no sense. */
export const runRules = (words: readonly string[], options: RulesOptions): number => {
  let parsed: Words;
  try {
    parsed = parseWords(words);
  } catch {
    return usage(options);
  }
  const [action, file, ...more] = parsed.positionals;
  if (action === 'list' && file === undefined) return list(options);
  if (action !== 'test' || file === undefined || more.length > 0) return usage(options);
  const { response } = parsed.values;
  return response === undefined ? runTests(file, options) : tryOn(file, response, parsed.values, options);
};

const list = (options: RulesOptions): number => {
  const { config, env, cwd, out } = options;
  const { settings, errors } = loadSettings({ ...configFile(config, env), env, cwd });
  if (!settings) return failed(errors, options);
  const loaded = loadRules(settings.bans.rules, cwd);
  if (!loaded.rules) return failed(loaded.errors, options);
  const width = Math.max(...loaded.rules.map(({ id }) => id.length));
  for (const rule of loaded.rules) out(lineOf(rule, width, loaded.own.has(rule.id)));
  return 0;
};

const lineOf = ({ id, verdict, vendor, enabled, domains }: BanRule, width: number, own: boolean): string => {
  const state = enabled ? verdict : `off (${verdict})`;
  return `${id.padEnd(width)}  ${state.padEnd(12)}  ${vendor.padEnd(12)}  ${domains.join(' ')}${own ? '  own' : ''}`;
};

/** What stands under `tests` of the file's own rules; each rule is asked alone. */
const runTests = (file: string, options: RulesOptions): number => {
  const { cwd, out } = options;
  const loaded = loadRules(file, cwd);
  if (!loaded.rules) return failed(loaded.errors, options);
  const own = loaded.rules.filter(({ id }) => loaded.own.has(id));
  const failures = own.flatMap(failuresOf);
  for (const failure of failures) out(`FAIL ${failure}`);
  const tests = own.reduce((sum, { tests: { match, noMatch } }) => sum + match.length + noMatch.length, 0);
  out(`${own.length} own rules, ${tests} tests, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
};

const failuresOf = (rule: BanRule): string[] => {
  const alone = compileRules([{ ...rule, enabled: true, verdict: 'ban' }]);
  const matches = (text: string): boolean => {
    const sample = parseSample(Buffer.from(text));
    return sample !== undefined && judgeSample(alone, sample).ban !== undefined;
  };
  return [
    ...rule.tests.match.flatMap((text, i) => (matches(text) ? [] : [`${rule.id}: match[${i}] does not match`])),
    ...rule.tests.noMatch.flatMap((text, i) => (matches(text) ? [`${rule.id}: no_match[${i}] matches`] : [])),
  ];
};

type Taken = { readonly url?: string | undefined; readonly method?: string | undefined };

const readSample = (path: string, { url, method }: Taken, cwd: string): Sample | string => {
  if (url !== undefined && !/^https?:\/\/./.test(url)) return '--url: expected http://... or https://...';
  try {
    return parseSample(readFileSync(resolve(cwd, path)), url, method) ?? `${path}: no status line`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ERR_INVALID_URL' ? '--url: this is no URL' : `${path}: cannot be read (${code ?? 'unknown'})`;
  }
};

const tryOn = (file: string, response: string, taken: Taken, options: RulesOptions): number => {
  const loaded = loadRules(file, options.cwd);
  if (!loaded.rules) return failed(loaded.errors, options);
  const sample = readSample(response, taken, options.cwd);
  if (typeof sample === 'string') return failed([sample], options);
  const { ban, suspect } = judgeSample(compileRules(loaded.rules), sample);
  options.out(ban ? `${ban.verdict}: ${ban.id} (${ban.vendor})` : 'an answer: no rule makes it a ban');
  if (suspect) options.out(`suspect: ${suspect.id} (${suspect.vendor})`);
  return 0;
};
