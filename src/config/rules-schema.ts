/** The shape of a ban rules file: what each key accepts, turned into the rules the policy knows (format version 1). */
import { z } from 'zod';
import { type BanRule, BODY_BYTES, VERDICTS, type When } from '../policy/ban-rule.ts';
import { SHORTEST_WORD } from '../policy/ban-words.ts';
import { fine, isMapping, type Parsed, type Problem, wrong } from './parsed.ts';
import { parseWhole } from './quantities.ts';
import { parseRegex } from './rules-regex.ts';
import { flag, oneOf, problemsOf, read, section } from './schema.ts';

const MOST_RULES = 1_000;
const MOST_CHOICES = 100;
const DEEPEST = 16;

/** A text of one line; an empty one only where that has a meaning. */
const line = (most: number, least = 1) =>
  read((value) =>
    typeof value === 'string' && value.length >= least && value.length <= most && !/\p{Cc}/u.test(value)
      ? fine(value)
      : wrong(`expected a text of ${least} to ${most} characters on one line`),
  );

/** One value or a list of alternatives. */
const someOf = <T extends z.ZodType>(item: T) =>
  z
    .unknown()
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .pipe(z.array(item).min(1, 'expected at least one value').max(MOST_CHOICES, `expected at most ${MOST_CHOICES}`));

const matching = (pattern: RegExp, expected: string) =>
  read((value) => (typeof value === 'string' && pattern.test(value) ? fine(value) : wrong(`expected ${expected}`)));

const lower = (text: string): string => text.toLowerCase();

const status = read((value): Parsed<readonly [number, number]> => {
  if (typeof value === 'string' && /^[1-9]xx$/.test(value))
    return fine([Number(value[0]) * 100, Number(value[0]) * 100 + 99]);
  const code = parseWhole(value, 100, 999);
  return code.ok ? fine([code.value, code.value]) : wrong('expected a status such as 403, or 4xx');
});

const contentType = matching(
  /^(?:[\w!#$&^.+-]+\/[\w!#$&^.+-]*)?$/,
  'a media type such as text/html, or text/ for all',
).transform(lower);
const headerName = matching(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'the name of a header').transform(lower);
const cookieName = matching(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'the name of a cookie');
const method = matching(/^[A-Z]{1,20}$/, 'a method in capitals');
const domain = matching(
  /^(?:\*|\.?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.\*)$/,
  'shop.example, .shop.example, shop.* or *, in lower case',
);
const word = line(200, SHORTEST_WORD);

const needsOne = <T extends object>(value: T, context: z.RefinementCtx): void => {
  if (Object.values(value).every((part) => part === undefined))
    context.addIssue({ code: 'custom', message: 'expected at least one condition' });
};

/** A mapping of names to what is wanted of each. */
const headersOf = (regex: z.ZodType<RegExp>) => {
  const wanted = section({
    exists: flag().optional(),
    equals: someOf(line(200).transform(lower)).optional(),
    prefix: line(200).transform(lower).optional(),
    regex: regex.optional(),
  }).superRefine(needsOne);
  return z
    .record(headerName, wanted, {
      error: ({ code }) =>
        code === 'invalid_key'
          ? 'expected the name of a header'
          : 'expected a mapping of header names to what is wanted of them',
    })
    .superRefine((names, context) => {
      if (Object.keys(names).length === 0)
        context.addIssue({ code: 'custom', message: 'expected at least one header' });
    })
    .transform(Object.entries);
};

const bodyOf = (regex: z.ZodType<RegExp>) =>
  section({
    max_len: read((value) => parseWhole(value, 0, BODY_BYTES)).optional(),
    contains_any: someOf(word).optional(),
    contains_all: someOf(word).optional(),
    title: someOf(line(200).transform(lower)).optional(),
    regex: regex.optional(),
    empty: flag().optional(),
  })
    .superRefine(needsOne)
    .transform(({ max_len, contains_any, contains_all, ...rest }) => ({
      maxLen: max_len,
      containsAny: contains_any,
      containsAll: contains_all,
      ...rest,
    }));

const whenOf = (regex: z.ZodType<RegExp>): z.ZodType<When> => {
  const when: z.ZodType<When> = z.lazy(() => condition);
  const condition = section({
    status: someOf(status).optional(),
    methods: someOf(method).optional(),
    content_type: someOf(contentType).optional(),
    header: headersOf(regex).optional(),
    header_prefix: someOf(headerName).optional(),
    set_cookie: someOf(cookieName).optional(),
    location: section({ host: regex.optional(), path: regex.optional() }).superRefine(needsOne).optional(),
    body: bodyOf(regex).optional(),
    any: z.array(when, 'expected a list of conditions').min(1, 'expected at least one condition').optional(),
    all: z.array(when, 'expected a list of conditions').min(1, 'expected at least one condition').optional(),
    not: when.optional(),
  })
    .superRefine(needsOne)
    .transform(({ content_type, header, header_prefix, set_cookie, ...rest }) => ({
      contentType: content_type,
      headers: header,
      headerPrefix: header_prefix,
      setCookie: set_cookie,
      ...rest,
    }));
  return when;
};

/** A saved response, see `parseSample`. */
const sample = read((value) =>
  typeof value === 'string' && /^(?:[A-Z]+ https?:\/\/\S+\r?\n)?HTTP\/\S+ \d{3}/.test(value)
    ? fine(value)
    : wrong('expected a saved response: a status line, headers, a blank line and the body'),
);

const ruleOf = (regex: z.ZodType<RegExp>) =>
  section({
    id: matching(/^[a-z0-9][a-z0-9-]{0,63}$/, 'small letters, digits and -, at most 64'),
    vendor: line(64).prefault('any'),
    verdict: oneOf(...VERDICTS).prefault('ban'),
    enabled: flag().optional(),
    scope: section({
      domains: someOf(domain).prefault('*'),
      exclude_domains: someOf(domain).optional(),
    }).prefault({}),
    when: whenOf(regex).optional(),
    source: someOf(line(200)).optional(),
    tests: section({ match: someOf(sample).optional(), no_match: someOf(sample).optional() }).prefault({}),
  }).superRefine((rule, context) => {
    if (rule.when === undefined && rule.enabled === undefined)
      context.addIssue({
        code: 'custom',
        message: 'expected a condition (when), or enabled to switch a built-in rule',
      });
    if (rule.verdict === 'login' && rule.scope.domains.includes('*'))
      context.addIssue({
        code: 'custom',
        message: 'a login rule names its domains (scope.domains)',
        path: ['verdict'],
      });
  });

type RuleShape = z.output<ReturnType<typeof ruleOf>>;

/** A rule of its own, or only a switch for the built-in one of that id. */
export type Entry = BanRule | { readonly id: string; readonly enabled: boolean };

export const isRule = (entry: Entry): entry is BanRule => 'when' in entry;

const entryOf = ({ id, when, enabled, scope, source, tests, ...rest }: RuleShape): Entry => {
  if (when === undefined) return { id, enabled: enabled ?? true };
  return {
    id,
    ...rest,
    enabled: enabled ?? true,
    domains: scope.domains,
    excludeDomains: scope.exclude_domains ?? [],
    when,
    source: source ?? [],
    tests: { match: tests.match ?? [], noMatch: tests.no_match ?? [] },
  };
};

const depthOf = (tree: unknown): number => {
  if (typeof tree !== 'object' || tree === null) return 0;
  return 1 + Math.max(0, ...Object.values(tree).map(depthOf));
};

const twice = (entries: readonly Entry[]): Problem[] =>
  entries.flatMap(({ id }, i) =>
    entries.findIndex((one) => one.id === id) < i
      ? [{ path: ['rules', i, 'id'], message: 'a rule has this id already' }]
      : [],
  );

/** `trusted`: its regular expressions are not timed. `entries` are there only when nothing is wrong. */
export const readRules = (
  tree: unknown,
  trusted: boolean,
): { entries: readonly Entry[] | undefined; problems: readonly Problem[] } => {
  if (!isMapping(tree)) return { entries: undefined, problems: [{ path: [], message: 'expected a mapping of keys' }] };
  if (depthOf(tree) > DEEPEST) return { entries: undefined, problems: [{ path: [], message: 'nested too deeply' }] };
  const regex = read((value) => parseRegex(value, trusted));
  const file = section({
    version: read((value) => (value === 1 ? fine(1) : wrong('expected 1, the version of this format'))),
    rules: z.array(ruleOf(regex), 'expected a list of rules').max(MOST_RULES, `expected at most ${MOST_RULES} rules`),
  });
  const result = file.safeParse(tree);
  if (!result.success) return { entries: undefined, problems: problemsOf(result.error, []) };
  const entries = result.data.rules.map(entryOf);
  const problems = twice(entries);
  return { entries: problems.length === 0 ? entries : undefined, problems };
};
