/** The life of one request, top to bottom: enter, [attempt, judge, next]*, answer, receipt. */
import { type Condition, Fault, Gone, Refusal, wireError } from '../model/errors.ts';
import type { Job } from '../model/job.ts';
import { OVERLOAD_RETRY_MS } from '../policy/pacing.ts';
import { refusalAnswer } from '../policy/refuse.ts';
import { type Failure, lastWordOf, nextStep, type Situation } from '../policy/retry.ts';
import { attemptOnce } from './attempt.ts';
import type { RequestBody } from './body.ts';
import { deliver } from './deliver.ts';
import type { House, WebsiteSettings } from './house.ts';
import type { Ask, InboundResponse, Reply, Stop, Turn } from './ports.ts';
import { debugHeaders, type Finish, marksOf, newRun, type Run, receiptOf, refused } from './run.ts';

/** Runs one job to its end: always answers or finds the client gone, always writes one receipt; never throws. */
export type Exchange = (job: Job, body: RequestBody | undefined, reply: Reply, stop: Stop) => Promise<void>;

export const makeExchange =
  (house: House): Exchange =>
  async (job, body, reply, stop) => {
    const run = newRun(job);
    let finish: Finish;
    let response: InboundResponse | undefined;
    try {
      response = await pursue(house, run, body, stop);
      finish = await deliver(house, run, response, reply, stop);
    } catch (error) {
      response?.body.abort();
      finish = answerFailure(house, run, error, reply);
    }
    body?.abandon();
    stop.listen(undefined);
    if (run.ticket) house.gate.leave(run.ticket, { upstream: run.upstream });
    house.ledger.finished(receiptOf(run, finish, performance.now()));
  };

/** Attempts until one response may be delivered; throws what the client is to be told. */
const pursue = async (house: House, run: Run, body: RequestBody | undefined, stop: Stop): Promise<InboundResponse> => {
  const { job } = run;
  const website = house.rules().website(job.target.website);
  const entered = house.gate.enter(askOf(job, website), stop);
  let turn = entered instanceof Promise ? await entered : entered;
  for (;;) {
    note(run, turn);
    const outcome = await attemptOnce(house, run, turn, website, body, stop);
    if (outcome.kind === 'answer') return outcome.response;
    turn = await another(house, run, turn, outcome, body, stop);
  }
};

const askOf = (job: Job, website: WebsiteSettings): Ask => {
  const { account, controls, sessionName } = job;
  return {
    account: account.id,
    maxConnections: account.maxConnections,
    maxSessions: account.maxSessions,
    website: job.target.website,
    siteDelayMs: website.siteDelayMs,
    slaveDelayMs: website.slaveDelayMs,
    region: controls.region,
    noBancheck: controls.noBancheck,
    session: sessionAskOf(controls.session, sessionName),
  };
};

const sessionAskOf = (asked: string | undefined, name: string | undefined): Ask['session'] => {
  if (asked === 'create') return { by: 'create' };
  if (asked !== undefined) return { by: 'id', id: asked };
  return name === undefined ? undefined : { by: 'name', name };
};

const note = (run: Run, turn: Turn): void => {
  run.ticket = turn.ticket;
  run.upstream = turn.upstream;
  run.used.add(turn.upstream.id);
  run.waitedMs += turn.waitedMs;
};

/** The next turn, or the refusal that ends the request. */
const another = async (
  house: House,
  run: Run,
  turn: Turn,
  outcome: Failure,
  body: RequestBody | undefined,
  stop: Stop,
): Promise<Turn> => {
  const situation = situationOf(house, run, turn, outcome, body);
  const heldMs = await settle(house, run, turn, outcome);
  const step = nextStep(situation);
  const next = step.again ? await house.gate.again(turn.ticket, run.used, step.repeat, stop) : undefined;
  if (next) return next;
  throw await lastRefusal(house, turn, lastWordOf(situation), outcome, heldMs);
};

const canSendAgain = (body: RequestBody | undefined, outcome: Failure): boolean =>
  body === undefined || body.replayable || (body.untouched && outcome.kind === 'fault' && outcome.fault.upstreamFailed);

const situationOf = (
  house: House,
  run: Run,
  turn: Turn,
  outcome: Failure,
  body: RequestBody | undefined,
): Situation => {
  const { controls, method } = run.job;
  const { session } = turn.ticket;
  return {
    outcome,
    method,
    replayable: canSendAgain(body, outcome),
    attempts: run.attempts.length,
    maxRetries: controls.maxRetries ?? (session && !turn.ticket.fresh ? 0 : house.rules().maxRetries),
    inSession: session !== undefined && !turn.ticket.fresh,
    resolvedElsewhere: turn.upstream.kind !== 'direct',
    bannedBefore: run.banned,
    targetFault: run.targetFault,
  };
};

/** Tells the gate what the attempt showed. Resolves to the milliseconds a session's ban lasts. */
const settle = async (house: House, run: Run, turn: Turn, outcome: Failure): Promise<number> => {
  if (outcome.kind === 'ban') {
    run.banned = true;
    return house.gate.banned(turn, outcome.rule);
  }
  const { fault } = outcome;
  if (fault.upstreamFailed) house.gate.upstreamFailed(turn.upstream, fault.message);
  else run.targetFault = fault.condition;
  return 0;
};

const lastRefusal = async (
  house: House,
  turn: Turn,
  condition: Condition,
  outcome: Failure,
  heldMs: number,
): Promise<Refusal> => {
  const reason = outcome.kind === 'ban' ? outcome.rule : outcome.fault.message;
  if (!wireError(condition).retryAfter) return new Refusal(condition, { reason });
  if (condition === 'serverbusy') return new Refusal(condition, { retryAfterMs: OVERLOAD_RETRY_MS, reason });
  const retryAfterMs = heldMs > 0 && turn.ticket.session ? heldMs : await house.gate.outlook(turn.ticket);
  return new Refusal(condition, { retryAfterMs, reason });
};

/** Answers an error, whatever it is: a refusal as itself, anything unknown as a bug of ours. */
const answerFailure = (house: House, run: Run, error: unknown, reply: Reply): Finish => {
  if (error instanceof Gone) return { outcome: 'gone', status: undefined, delivery: undefined, reason: error.message };
  const refusal = asRefusal(error);
  if (refusal.condition === 'internal_error') house.ledger.bug(error, 'exchange');
  const { job } = run;
  const rules = house.rules();
  const marks = marksOf(run, house.version, rules.softLimitMs, refusal);
  const answer = refusalAnswer(refusal, job.dialect, marks, rules.operatorContact);
  answer.headers.push(...debugHeaders(run));
  reply.send(answer, answer.body);
  return refused(refusal, answer.status);
};

export const asRefusal = (error: unknown): Refusal => {
  if (error instanceof Refusal) return error;
  if (error instanceof Fault)
    return new Refusal(error.condition, error.reason === undefined ? {} : { reason: error.reason });
  return new Refusal('internal_error');
};
