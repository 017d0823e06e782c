/** Asks and wishes as arguments of the scripts, and the scripts' answers as the port's. */
import type { Condition } from '../model/errors.ts';
import type { Ask, Pool } from '../pipeline/ports.ts';
import type { Admission, Granted, Refused, TurnAnswer, Waiting, Wish } from '../pipeline/store-port.ts';
import type { Ages } from './redis-ages.ts';
import type { Arg } from './redis-link.ts';
import { refused } from './verdict.ts';

/** See scripts/ask.lua; `newId` is used when a session is to be made. */
export const askArgs = (ask: Ask, newId: string): Arg[] => {
  const { session } = ask;
  return [
    ask.account,
    ask.maxConnections === Number.POSITIVE_INFINITY ? '' : ask.maxConnections,
    ask.maxSessions,
    ask.siteDelayMs,
    ask.slaveDelayMs,
    ask.region ?? '',
    ask.noBancheck ? '1' : '',
    session?.by ?? '',
    session?.by === 'id' ? session.id : session?.by === 'name' ? session.name : '',
    newId,
  ];
};

/** Where in these arguments stand how the session was asked for, its id or name, and the id for a new one. */
export const SESSION_AT = 7;

/** See scripts/wish.lua. */
export const wishArgs = (wish: Wish, newId: string, ages: Ages): Arg[] => {
  const args = askArgs(wish.ask, newId);
  const used = wish.used ?? [];
  args.push(
    wish.session ?? '',
    wish.making ? '1' : '',
    wish.waitsFor === undefined ? '' : '1',
    wish.waitsFor ?? '',
    wish.used === undefined ? '1' : '',
    wish.repeat ? '1' : '',
    ages.of(wish.ask),
    ages.after(wish) ?? '',
    wish.used?.size ?? 0,
    ...used,
  );
  return args;
};

const orUndefined = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

const orNumber = (text: string | undefined): number | undefined =>
  text === '' || text === undefined ? undefined : Number(text);

export const readRefusal = (answer: readonly string[], ask: Ask | undefined): Refused => {
  const [, condition, session, retryAfterMs, nextRequestInMs] = answer;
  const named = condition === 'bad_session_id' && ask?.session?.by === 'id' ? ask.session.id : orUndefined(session);
  return refused(condition as Condition, named, orNumber(retryAfterMs), orNumber(nextRequestInMs));
};

const readGrant = (answer: readonly string[], pool: Pool): Granted => {
  const [, id = '', session, making] = answer;
  const upstream = pool.byId(id);
  if (!upstream) throw new Error('the store answered with an upstream that was not asked for');
  return { kind: 'go', upstream, session: orUndefined(session), making: making === '1' };
};

const readWaiting = (answer: readonly string[]): Waiting => {
  const [, delayMs, askInMs, waitsFor = '', session] = answer;
  return {
    kind: 'wait',
    delayMs: Number(delayMs),
    askInMs: Number(askInMs),
    waitsFor,
    session: orUndefined(session),
  };
};

/** When a request came that has to wait, by an answer of the script admit. */
export const cameAt = (answer: readonly string[]): number => Number(answer[5]);

/** Answer of the scripts admit and retry. */
export const readAdmission = (answer: readonly string[], ask: Ask, pool: Pool): Admission => {
  if (answer[0] === 'wait') return readWaiting(answer);
  return readVerdict(answer, ask, pool);
};

export const readVerdict = (answer: readonly string[], ask: Ask, pool: Pool): Granted | Refused =>
  answer[0] === 'go' ? readGrant(answer, pool) : readRefusal(answer, ask);

/** Answer of the script turn: one entry a wish up to the settled one, which comes last. */
export const readTurn = (
  answers: readonly (string | readonly string[])[],
  wishes: readonly Wish[],
  pool: Pool,
): TurnAnswer => {
  const index = answers.length - 1;
  const last = answers[index];
  if (typeof last !== 'object') return { settled: undefined, askInMs: answers.map(Number) };
  const verdict = readVerdict(last, (wishes[index] as Wish).ask, pool);
  return { settled: { index, verdict }, askInMs: answers.slice(0, index).map(Number) };
};
