/** From a refusal to the head and body a client gets (section 6 of the contract). Pure. */
import { type Dialect, type Refusal, wireError } from '../model/errors.ts';

/** What every answer of one request carries besides the refusal itself. */
export interface AnswerMarks {
  readonly version: string;
  /** `X-Crawlera-Slave`: the exit of the last attempt. */
  readonly exit: string | undefined;
  readonly session: string | undefined;
  /** Calculated delay of this request, when it reached the soft limit (P-04). */
  readonly nextRequestInMs: number | undefined;
}

export interface RefusalAnswer {
  readonly status: number;
  readonly reason: string;
  readonly headers: string[];
  readonly body: string;
}

const MAX_RETRY_AFTER_S = 600;

/** Whole seconds, rounded up, at least 1: never a date (E-08, E-09). */
export const wholeSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** The hard limit names its true delay; every other wait is capped (E-09). */
const retryAfterOf = (refusal: Refusal): string => {
  const { retryAfterMs = 0, nextRequestInMs } = refusal.detail;
  const seconds = wholeSeconds(retryAfterMs);
  return String(nextRequestInMs === undefined ? Math.min(seconds, MAX_RETRY_AFTER_S) : seconds);
};

/** One ASCII line of at most 200 characters, no line break (E-02). */
export const errorLine = (message: string, subject: string): string =>
  message
    .replace('<>', () => subject)
    .replace(/[^\x20-\x7e]/g, '')
    .slice(0, 200);

/** Newer Scrapy plugins count a ban only with these beside the code (E-07). */
const BAN_ALIASES = ['Zyte-Error-Type', 'banned', 'Zyte-Error', 'banned'];

/** Headers in the canonical capitalisation of the contract (T-09). */
export const refusalAnswer = (
  refusal: Refusal,
  dialect: Dialect,
  marks: AnswerMarks,
  operatorContact: string,
): RefusalAnswer => {
  const { condition, detail } = refusal;
  const row = wireError(condition);
  const headers = ['X-Crawlera-Version', marks.version, 'X-Crawlera-Error', row.code[dialect]];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers.push(name, value);
  };
  add('X-Crawlera-Slave', marks.exit);
  add('X-Crawlera-Session', detail.session ?? marks.session);
  const nextMs = detail.nextRequestInMs ?? marks.nextRequestInMs;
  add('X-Crawlera-Next-Request-In', nextMs === undefined ? undefined : String(wholeSeconds(nextMs)));
  if (row.retryAfter) add('Retry-After', retryAfterOf(refusal));
  if (condition === 'bad_auth') add('Proxy-Authenticate', 'Basic realm="Crawlera"');
  if (condition === 'slavebanned' && dialect === 'crawlera') headers.push(...BAN_ALIASES);
  add('Allow', detail.allow);
  const subject = condition === 'domain_forbidden' ? operatorContact : (detail.subject ?? '');
  const body = errorLine(row.message, subject);
  if (body !== '') headers.push('Content-Type', 'text/plain');
  return { status: row.status, reason: row.phrase, headers, body };
};
