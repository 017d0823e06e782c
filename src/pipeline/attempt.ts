/** One attempt: dress the request for its upstream, send it, judge the head that comes back. */
import { Fault } from '../model/errors.ts';
import { judgeHead } from '../policy/ban.ts';
import { dressUserAgent, pickAgent } from '../policy/profile.ts';
import type { Failure } from '../policy/retry.ts';
import { retryAfterMs } from '../policy/retry-after.ts';
import type { RequestBody } from './body.ts';
import type { House, WebsiteSettings } from './house.ts';
import type { InboundResponse, OutboundRequest, Stop, Turn } from './ports.ts';
import type { Run } from './run.ts';

export type Outcome = { readonly kind: 'answer'; readonly response: InboundResponse } | Failure;

/** Resolves with what came of it; throws only the stop's reason and bugs. */
export const attemptOnce = async (
  house: House,
  run: Run,
  turn: Turn,
  website: WebsiteSettings,
  body: RequestBody | undefined,
  stop: Stop,
): Promise<Outcome> => {
  const { job } = run;
  const { controls } = job;
  const startedAt = performance.now();
  run.requestMs = undefined;
  const session = turn.ticket.session;
  const owner = session ? `${job.account.id}/${session.id}` : job.account.id;
  const request = dress(house, run, turn, website, body);
  try {
    const response = await house.transport.attempt(
      request,
      { upstream: turn.upstream, owner, session: session?.id, headMs: controls.timeoutMs, chunkMs: controls.timeoutMs },
      stop,
    );
    run.exit = response.exit;
    run.requestMs = response.requestMs;
    const rule = controls.noBancheck ? undefined : judgeHead(job.method, response.status, response.headers);
    record(run, turn, response.exit, rule ?? 'fine', response.status, startedAt, undefined);
    if (rule === undefined) return { kind: 'answer', response };
    const pauseMs = response.status === 429 ? retryAfterMs(response.headers, house.clock.now()) : 0;
    if (pauseMs > 0) house.gate.slowDown(turn.ticket, pauseMs);
    response.body.abort();
    return { kind: 'ban', rule };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    run.exit = turn.upstream.label ?? error.exit;
    record(run, turn, run.exit ?? 'direct', error.condition, undefined, startedAt, error.reason);
    return { kind: 'fault', fault: error };
  }
};

const dress = (
  house: House,
  run: Run,
  turn: Turn,
  website: WebsiteSettings,
  body: RequestBody | undefined,
): OutboundRequest => {
  const { job } = run;
  const { controls } = job;
  const choice = controls.profile ?? controls.ua;
  const seed = turn.ticket.session?.seed;
  const agent =
    choice === 'pass' ? undefined : pickAgent(house.rules().agents[choice], seed === undefined ? house.random() : seed);
  const dressed = dressUserAgent(job.headers, controls, agent, job.target.scheme === 'https');
  run.agent = dressed.agent;
  return {
    method: job.method,
    target: job.target,
    path: job.path,
    headers: dressed.headers,
    framed: job.framed,
    body: body?.open(),
    servername: job.servername,
    insecureTarget: website.insecureTarget,
  };
};

const record = (
  run: Run,
  turn: Turn,
  exit: string,
  outcome: string,
  status: number | undefined,
  startedAt: number,
  reason: string | undefined,
): void => {
  run.attempts.push({
    exit,
    upstream: turn.upstream.id,
    outcome,
    status,
    tookMs: performance.now() - startedAt,
    reason,
  });
};
