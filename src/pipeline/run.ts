/** What happened to one request so far: the attempts made, the waits, and what every answer to it must carry. */
import type { Condition, Refusal } from '../model/errors.ts';
import type { Job, Upstream } from '../model/job.ts';
import type { AnswerMarks } from '../policy/refuse.ts';
import type { AttemptRecord, Delivery, Receipt, Ticket } from './ports.ts';

export interface Run {
  readonly job: Job;
  readonly attempts: AttemptRecord[];
  /** Upstream ids tried. */
  readonly used: Set<string>;
  waitedMs: number;
  ticket: Ticket | undefined;
  /** Upstream of the latest attempt; a session made by this request keeps it (S-12). */
  upstream: Upstream | undefined;
  /** Where the latest attempt left, as `X-Crawlera-Slave` shows it. */
  exit: string | undefined;
  agent: string | undefined;
  requestMs: number | undefined;
  banned: boolean;
  /** What the latest attempt that failed by the target's fault ended with. */
  targetFault: Condition | undefined;
}

export const newRun = (job: Job): Run => ({
  job,
  attempts: [],
  used: new Set(),
  waitedMs: 0,
  ticket: undefined,
  upstream: undefined,
  exit: undefined,
  agent: undefined,
  requestMs: undefined,
  banned: false,
  targetFault: undefined,
});

/** The headers of ours that go with any answer of this run (section 5). */
export const marksOf = (run: Run, version: string, softLimitMs: number, refusal?: Refusal): AnswerMarks => {
  const { ticket } = run;
  const delayMs = ticket?.delayMs ?? refusal?.delayMs ?? 0;
  return {
    version,
    exit: run.exit,
    session: ticket?.session?.id ?? idSent(run.job.controls.session),
    nextRequestInMs: delayMs >= softLimitMs ? delayMs : undefined,
  };
};

/** A refused request still says which session it was about. */
const idSent = (asked: string | undefined): string | undefined => (asked === 'create' ? undefined : asked);

/** Debug headers the client asked for (H-19, R-05). */
export const debugHeaders = (run: Run): string[] => {
  const { controls } = run.job;
  const headers: string[] = [];
  if (controls.debugRequestTime && run.requestMs !== undefined) {
    headers.push('X-Crawlera-Debug-Request-Time', (run.requestMs / 1000).toFixed(6));
  }
  if (controls.debugUa && run.agent !== undefined) headers.push('X-Crawlera-Debug-UA', run.agent);
  if (controls.debugAttempts && run.attempts.length > 0) {
    headers.push('X-Crawlera-Debug-Attempts', run.attempts.map((one) => `${one.exit}=${one.outcome}`).join(', '));
  }
  return headers;
};

export interface Finish {
  readonly outcome: Receipt['outcome'];
  readonly status: number | undefined;
  readonly delivery: Delivery | undefined;
  readonly reason: string | undefined;
}

export const refused = (refusal: Refusal, status: number): Finish => ({
  outcome: refusal.condition,
  status,
  delivery: undefined,
  reason: refusal.detail.reason,
});

export const receiptOf = (run: Run, finish: Finish, nowMs: number): Receipt => {
  const { job } = run;
  return {
    id: job.id,
    job,
    account: job.account.id,
    method: job.method,
    website: job.target.website,
    status: finish.status,
    outcome: finish.outcome,
    session: run.ticket?.session?.id,
    attempts: run.attempts,
    waitedMs: run.waitedMs,
    tookMs: nowMs - job.startedAt,
    bytes: finish.delivery?.bytes ?? 0,
    reason: finish.reason,
  };
};
