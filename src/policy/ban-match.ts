/** Turns the conditions of ban rules into tests that answer yes, no, or "only the body can tell". */
import { allValues, type HeaderList } from '../model/headers.ts';
import { type Facts, isBlank, locationOf, mediaType, setsCookie, textOf, titleOf } from './ban-facts.ts';
import { BODY_BYTES, type BodyTest, type HeaderTest, type LocationTest, type When } from './ban-rule.ts';
import { SHORTEST_WORD } from './ban-words.ts';

export const NO = 0;
export const YES = 1;
export const MAYBE = 2;
export type Truth = typeof NO | typeof YES | typeof MAYBE;

export type Test = (facts: Facts) => Truth;

/** Takes a word to look for in bodies; its number. */
export type AddWord = (word: string) => number;

const is = (holds: boolean): Truth => (holds ? YES : NO);

const every = (tests: readonly Test[]): Test => {
  const [only] = tests;
  if (only && tests.length === 1) return only;
  return (facts) => {
    let truth: Truth = YES;
    for (const test of tests) {
      const one = test(facts);
      if (one === NO) return NO;
      if (one === MAYBE) truth = MAYBE;
    }
    return truth;
  };
};

const some =
  (tests: readonly Test[]): Test =>
  (facts) => {
    let truth: Truth = NO;
    for (const test of tests) {
      const one = test(facts);
      if (one === YES) return YES;
      if (one === MAYBE) truth = MAYBE;
    }
    return truth;
  };

const OPPOSITE: readonly Truth[] = [YES, NO, MAYBE];

const opposite =
  (test: Test): Test =>
  (facts) =>
    OPPOSITE[test(facts)] as Truth;

export const inRanges = (ranges: When['status'], status: number): boolean =>
  ranges === undefined || ranges.some(([from, to]) => status >= from && status <= to);

const typeFits = (wanted: string, type: string): boolean =>
  wanted.endsWith('/') ? type.startsWith(wanted) : type === wanted;

/** Header values are matched up to here. */
const LONGEST_VALUE = 8192;

const valueFits = ({ equals, prefix, regex }: HeaderTest, value: string): boolean => {
  const lower = value.toLowerCase();
  if (equals && !equals.includes(lower)) return false;
  if (prefix !== undefined && !lower.startsWith(prefix)) return false;
  return regex === undefined || regex.test(value.slice(0, LONGEST_VALUE));
};

const headerTest = ([name, test]: readonly [string, HeaderTest]): Test => {
  const asksValue = test.equals !== undefined || test.prefix !== undefined || test.regex !== undefined;
  return ({ head }) => {
    const values = valuesOf(head.headers, name);
    if (test.exists !== undefined && (values !== undefined) !== test.exists) return NO;
    return is(!asksValue || (values?.some((value) => valueFits(test, value)) ?? false));
  };
};

/** Trimmed, blank ones dropped; `undefined` when none is left. Most names are not there: no list is made for those. */
const valuesOf = (headers: HeaderList, name: string): string[] | undefined => {
  for (let i = 0; i < headers.length; i += 2) {
    const one = headers[i] as string;
    if (one.length !== name.length || one.toLowerCase() !== name) continue;
    const values = allValues(headers, name)
      .map((value) => value.trim())
      .filter((value) => value !== '');
    return values.length > 0 ? values : undefined;
  }
  return undefined;
};

const hasPrefix = (headers: HeaderList, prefixes: readonly string[]): boolean =>
  headers.some((name, i) => i % 2 === 0 && prefixes.some((prefix) => name.toLowerCase().startsWith(prefix)));

const locationTest =
  ({ host, path }: LocationTest): Test =>
  (facts) => {
    const url = locationOf(facts);
    return is(url !== null && (host?.test(url.hostname) ?? true) && (path?.test(url.pathname) ?? true));
  };

/** An empty page may hold this much white space. */
const BLANK_BYTES = 1024;

/** The longest body a test can fit, in bytes. */
const longestOf = ({ maxLen, empty }: BodyTest): number => maxLen ?? (empty ? BLANK_BYTES : Number.POSITIVE_INFINITY);

type BodyCheck = (body: NonNullable<Facts['body']>) => boolean;

/** The longest part of a title, to be looked for before the title itself is. */
const titleWord = (title: string): string | undefined => {
  const plain = title.split(' ').filter((part) => /^[!-~]+$/.test(part));
  const longest = plain.reduce((best, part) => (part.length > best.length ? part : best), '');
  return longest.length >= SHORTEST_WORD ? longest : undefined;
};

const titleCheck = (titles: readonly string[], add: AddWord): BodyCheck => {
  const marks = titles.map(titleWord).map((word) => (word === undefined ? undefined : add(word)));
  return (body) =>
    marks.some((mark) => mark === undefined || body.hits[mark] === 1) && titles.includes(titleOf(body) ?? '');
};

/** Cheapest first. */
const bodyChecks = (test: BodyTest, add: AddWord): BodyCheck[] => {
  const { empty, containsAny, containsAll, title, regex } = test;
  const longest = longestOf(test);
  const any = containsAny?.map((word) => add(word));
  const all = containsAll?.map((word) => add(word));
  const checks: (BodyCheck | undefined)[] = [
    longest === Number.POSITIVE_INFINITY ? undefined : ({ bytes }) => bytes.length <= longest,
    any && (({ hits }) => any.some((number) => hits[number] === 1)),
    all && (({ hits }) => all.every((number) => hits[number] === 1)),
    empty === undefined ? undefined : ({ bytes }) => isBlank(bytes) === empty,
    title && titleCheck(title, add),
    regex && ((body) => regex.test(textOf(body))),
  ];
  return checks.filter((check) => check !== undefined);
};

/** Before the body is there its announced length may tell; a compressed one is longer still. */
const bodyTest = (test: BodyTest, add: AddWord): Test => {
  const checks = bodyChecks(test, add);
  const longest = longestOf(test);
  return ({ head, body }) => {
    if (body !== undefined) return is(checks.every((check) => check(body)));
    return head.length !== undefined && head.length > longest ? NO : MAYBE;
  };
};

/** Parts in order of cost, the body last. `status` at the top is left out: rules are kept by status. */
export const compileWhen = (when: When, add: AddWord, top = true): Test => {
  const { status, methods, contentType, headers, headerPrefix, setCookie, location, body, any, all, not } = when;
  const below = (inner: When): Test => compileWhen(inner, add, false);
  const tests: (Test | undefined)[] = [
    top || status === undefined ? undefined : ({ head }) => is(inRanges(status, head.status)),
    methods && (({ asked }) => is(methods.includes(asked.method))),
    contentType && ((facts) => is(contentType.some((wanted) => typeFits(wanted, mediaType(facts))))),
    ...(headers ?? []).map(headerTest),
    headerPrefix && (({ head }) => is(hasPrefix(head.headers, headerPrefix))),
    setCookie && (({ head }) => is(setsCookie(head.headers, setCookie))),
    location && locationTest(location),
    all && every(all.map(below)),
    any && some(any.map(below)),
    not && opposite(below(not)),
    body && bodyTest(body, add),
  ];
  return every(tests.filter((test) => test !== undefined));
};

/** Whether a condition cannot hold without a body. */
export const needsBody = ({ body, all, any }: When): boolean =>
  body !== undefined || (all?.some(needsBody) ?? false) || (any?.every(needsBody) ?? false);

/** Whether a body can make a difference. */
export const mentionsBody = ({ body, all, any, not }: When): boolean =>
  body !== undefined || [...(all ?? []), ...(any ?? []), ...(not ? [not] : [])].some(mentionsBody);

/** Decoded bytes beyond which a condition cannot hold any more; `BODY_BYTES` = never. */
export const reachOf = (when: When): number => {
  if (when.not && mentionsBody(when.not)) return BODY_BYTES;
  const bounds = (when.all ?? []).filter(needsBody).map(reachOf);
  if (when.body) bounds.push(longestOf(when.body));
  const choices = (when.any ?? []).filter(mentionsBody).map(reachOf);
  if (choices.length > 0) bounds.push(Math.max(...choices));
  return Math.min(BODY_BYTES, ...bounds);
};
