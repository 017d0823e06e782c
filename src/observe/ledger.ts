/** One log line for every finished request. */
import type { AttemptRecord, Ledger, Receipt } from '../pipeline/ports.ts';
import type { Log } from './log.ts';
import { scrubText } from './scrub.ts';

/** Characters that could move a terminal's cursor or begin a new line there (robustness B02). */
const UNSAFE = /[\p{Cc}\u2028\u2029]/u;
const ALL_UNSAFE = /[\p{Cc}\u2028\u2029]+/gu;

/** Text a client chose, on one line. */
const plain = (text: string): string => (UNSAFE.test(text) ? text.replace(ALL_UNSAFE, ' ') : text);

const reasonText = (reason: string | undefined): string | undefined =>
  reason === undefined ? undefined : scrubText(reason);

const attemptText = ({ exit, outcome, status, tookMs, reason }: AttemptRecord): string => {
  const head = `${exit} ${outcome} ${status === undefined ? '-' : status} ${Math.round(tookMs)}ms`;
  return reason === undefined ? head : `${head} (${reason})`;
};

/** Every attempt in words, once there was more than a single good one. */
const attemptsText = (attempts: readonly AttemptRecord[]): string | undefined => {
  const first = attempts[0];
  if (first === undefined || (attempts.length === 1 && first.outcome === 'fine' && first.reason === undefined))
    return undefined;
  return reasonText(attempts.map(attemptText).join('; '));
};

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

/** What JSON strings hold as it is. */
const BARE = /^[ !#-[\]-~]*$/;

/** A member of a JSON object with its comma in front; nothing for what there is none of. */
const member = (name: string, value: string | undefined): string => {
  if (value === undefined) return '';
  return BARE.test(value) ? `,"${name}":"${value}"` : `,"${name}":${JSON.stringify(plain(value))}`;
};

/**
 * The line's fields as members of a JSON object: joined by hand, because every request pays for it. Paths and queries are
 * left out: they may hold secrets.
 */
const membersOf = (receipt: Receipt): string => {
  const { job, attempts, status } = receipt;
  const last = attempts[attempts.length - 1];
  return (
    `"request":"${receipt.id}"` +
    member('job', job?.controls.jobId) +
    member('account', receipt.account) +
    member('method', receipt.method) +
    member('website', receipt.website) +
    (status === undefined ? '' : `,"status":${status}`) +
    member('outcome', receipt.outcome) +
    member('session', receipt.session) +
    member('exit', last?.exit) +
    member('upstream', last?.upstream) +
    `,"attempts":${attempts.length}` +
    member('tries', attemptsText(attempts)) +
    `,"waitedMs":${tenths(receipt.waitedMs)},"tookMs":${tenths(receipt.tookMs)},"bytes":${receipt.bytes}` +
    member('client', job?.controls.client) +
    member('reason', reasonText(receipt.reason))
  );
};

/** A ledger that writes to the log: `finished` at info, `bug` at error with its stack. */
export const makeLogLedger = (log: Log): Ledger => ({
  finished: (receipt) => {
    if (log.wants('info')) log.line('request', membersOf(receipt));
  },
  bug: (error, where) => log.failure('bug', error, { where }),
});
