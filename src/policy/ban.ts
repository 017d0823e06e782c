/** Whether a response is a ban rather than an answer: ordered rules, the first that matches decides. */
import { lastValue } from '../model/headers.ts';
import { type Coding, codingOf } from './ban-decode.ts';
import { type Asked, type Facts, factsOf, type Head, mediaType } from './ban-facts.ts';
import { compileWhen, inRanges, MAYBE, mentionsBody, NO, needsBody, reachOf, type Test } from './ban-match.ts';
import { type BanRule, BODY_TYPES } from './ban-rule.ts';
import { makeScope } from './ban-scope.ts';
import { makeWordBook, type Search, type WordBook } from './ban-words.ts';

/** What the rules say of a response. */
export interface Judgement {
  /** The rule that makes it a ban; `undefined` = an answer. */
  readonly ban: BanRule | undefined;
  /** The first weak sign seen, for the log. */
  readonly suspect: BanRule | undefined;
}

/** The head leaves it open. */
export interface OpenCase {
  /** Decoded bytes beyond which none of the rules left can match; at `BODY_BYTES` the body is judged by its start. */
  readonly reach: number;
  readonly coding: Coding;
  /** With the start of the decoded body, or without when it cannot be had or goes beyond `reach`. */
  judge(bytes: Buffer | undefined): Judgement;
}

export interface BanRules {
  /** By the head alone, when that can be; never waits and holds nothing back. */
  judge(asked: Asked, head: Head): Judgement | OpenCase;
}

export const isOpen = (result: Judgement | OpenCase): result is OpenCase => 'reach' in result;

interface Compiled {
  readonly rule: BanRule;
  /** The numbers of its words. */
  readonly words: ReadonlySet<number>;
  readonly test: Test;
  readonly inScope: ((host: string) => boolean) | undefined;
  readonly needsBody: boolean;
  readonly reach: number;
}

/** The rules that can match a status, in order; `headOnly` are those that can without a body. */
interface Shelf {
  readonly all: readonly Compiled[];
  readonly headOnly: readonly Compiled[];
  readonly asksBody: boolean;
  /** For the words of these rules. */
  readonly search: Search;
}

const FINE: Judgement = Object.freeze({ ban: undefined, suspect: undefined });
const EMPTY = Buffer.alloc(0);

/** Rules that are switched off are left out. */
export const compileRules = (rules: readonly BanRule[]): BanRules => {
  const book = makeWordBook();
  const compiled = rules.filter((rule) => rule.enabled).map((rule) => compileRule(rule, book));
  const byStatus = new Map<number, Shelf>();
  const byRules = new Map<string, Shelf>();
  const shelfFor = (status: number): Shelf => {
    const fitting = compiled.filter(({ rule }) => inRanges(rule.when.status, status));
    const key = fitting.map(({ rule }) => rule.id).join(' ');
    const shelf = byRules.get(key) ?? shelfOf(fitting, book);
    byRules.set(key, shelf);
    byStatus.set(status, shelf);
    return shelf;
  };
  return { judge: (asked, head) => judgeHead(byStatus.get(head.status) ?? shelfFor(head.status), asked, head) };
};

const compileRule = (rule: BanRule, book: WordBook): Compiled => {
  const words = new Set<number>();
  const add = (word: string): number => {
    const number = book.add(word);
    words.add(number);
    return number;
  };
  return {
    rule,
    words,
    test: compileWhen(rule.when, add),
    inScope: makeScope(rule.domains, rule.excludeDomains),
    needsBody: needsBody(rule.when),
    reach: reachOf(rule.when),
  };
};

/** Statuses with the same rules share one. */
const shelfOf = (all: readonly Compiled[], book: WordBook): Shelf => ({
  all,
  headOnly: all.filter((one) => !one.needsBody),
  asksBody: all.some(({ rule }) => mentionsBody(rule.when)),
  search: book.searchFor(new Set(all.flatMap(({ words }) => [...words]))),
});

const judgeHead = (shelf: Shelf, asked: Asked, head: Head): Judgement | OpenCase => {
  if (shelf.all.length === 0 || head.status < 200) return FINE;
  const facts = factsOf(asked, head);
  if (!shelf.asksBody) return settle(shelf.all, facts);
  // What answers HEAD is judged by its head.
  if (asked.method === 'HEAD') return settle(shelf.headOnly, facts);
  if (hasNoBody(head)) {
    facts.body = { bytes: EMPTY, hits: shelf.search(EMPTY), text: '' };
    return settle(shelf.all, facts);
  }
  const readable = BODY_TYPES.includes(mediaType(facts));
  const coding = readable ? codingOf(lastValue(head.headers, 'content-encoding')) : undefined;
  if (coding === undefined) return settle(shelf.headOnly, facts);
  return leaveOpen(shelf, facts, coding);
};

const hasNoBody = ({ status, length }: Head): boolean =>
  length === 0 || status === 204 || status === 205 || status === 304;

/** The first rule that matches, weak signs noted on the way. What only a body could tell does not match. */
const settle = (rules: readonly Compiled[], facts: Facts): Judgement => {
  let suspect: BanRule | undefined;
  for (const { rule, test, inScope } of rules) {
    if (inScope && !inScope(facts.asked.target.host)) continue;
    const truth = test(facts);
    if (truth === NO || truth === MAYBE) continue;
    if (rule.verdict !== 'suspect') return { ban: rule.verdict === 'ok' ? undefined : rule, suspect };
    suspect ??= rule;
  }
  return suspect === undefined ? FINE : { ban: undefined, suspect };
};

/** Keeps the rules that can still match, in order, unless no body is needed to decide. */
const leaveOpen = ({ all, search }: Shelf, facts: Facts, coding: Coding): Judgement | OpenCase => {
  const left: Compiled[] = [];
  let reach = -1;
  for (const one of all) {
    if (one.inScope && !one.inScope(facts.asked.target.host)) continue;
    const truth = one.test(facts);
    if (truth === NO) continue;
    left.push(one);
    if (truth === MAYBE) reach = Math.max(reach, one.reach);
    else if (one.rule.verdict !== 'suspect') break;
  }
  if (reach < 0) return left.length === 0 ? FINE : settle(left, facts);
  return {
    reach,
    coding,
    judge(bytes) {
      if (bytes) facts.body = { bytes, hits: search(bytes), text: undefined };
      return settle(left, facts);
    },
  };
};
