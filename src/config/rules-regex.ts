/** Regular expressions of ban rules: compiled, and refused when some text would keep them busy for too long. */
import { createContext, Script } from 'node:vm';
import { BODY_BYTES } from '../policy/ban-rule.ts';
import { fine, type Parsed, wrong } from './parsed.ts';

const LONGEST = 500;

/** Longer than any good expression needs for 64 KiB. */
const MOST_MS = 25;

/** A busy machine may be slow once. */
const TRIES = 3;

/** What stands for a class in a text made from an expression. */
const CLASSES: readonly (readonly [RegExp, string])[] = [
  [/\\s|\s/, ' '],
  [/\\d|0-9/, '1'],
  [/\\w|a-z|\./i, 'a'],
];

const MOST_RUNS = 6;
const MOST_LETTERS = 12;

const repeated = (unit: string): string => unit.repeat(Math.ceil(BODY_BYTES / unit.length)).slice(0, BODY_BYTES - 2);

/** Texts on which a careless expression backtracks: what it looks for, over and over, and never its end. */
const hardTexts = (source: string): string[] => {
  const plain = source.replace(/\\([^\w])/g, '$1');
  const runs = [...new Set(plain.match(/[^\\()[\]{}|*+?.^$]{2,}/g) ?? [])].slice(0, MOST_RUNS);
  const letters = [...new Set(plain.match(/[A-Za-z0-9"'<>/=#;:,_-]/g) ?? [])].slice(0, MOST_LETTERS);
  const classes = CLASSES.filter(([pattern]) => pattern.test(source)).map(([, letter]) => letter);
  const units = [...new Set([...letters, ...classes, 'a', ' ', '1', '<'])];
  const led = runs.flatMap((run) => classes.map((letter) => run + repeated(letter)));
  return [...units.map(repeated), ...runs.map(repeated), ...led].map((text) => `${text.slice(0, BODY_BYTES - 2)}\n\0`);
};

const script = new Script('for (const text of texts) regex.test(text)');

/** Runs in this thread but can be stopped: an expression may well take for ever. */
const finishes = (regex: RegExp, texts: readonly string[], timeout: number): boolean => {
  for (let i = 0; i < TRIES; i++) {
    try {
      script.runInContext(createContext({ regex, texts }), { timeout });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    }
  }
  return false;
};

const isQuick = (regex: RegExp): boolean => {
  const texts = hardTexts(regex.source);
  return finishes(regex, texts, MOST_MS) || texts.every((text) => finishes(regex, [text], MOST_MS));
};

/** Case is ignored. `trusted`: not timed. */
export const parseRegex = (value: unknown, trusted: boolean): Parsed<RegExp> => {
  if (typeof value !== 'string' || value === '' || value.length > LONGEST)
    return wrong(`expected a regular expression of at most ${LONGEST} characters`);
  let regex: RegExp;
  try {
    regex = new RegExp(value, 'i');
  } catch {
    return wrong('this is no regular expression');
  }
  if (trusted || isQuick(regex)) return fine(regex);
  return wrong(`this regular expression can take more than ${MOST_MS} ms for a page of 64 KiB: bound its repeats`);
};
