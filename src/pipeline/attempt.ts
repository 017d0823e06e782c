/** One attempt: dress the request for its upstream, send it, judge what comes back. */
import { Fault, Gone } from '../model/errors.ts';
import type { Job } from '../model/job.ts';
import { isOpen, type Judgement } from '../policy/ban.ts';
import type { BanRule } from '../policy/ban-rule.ts';
import { dressUserAgent, pickAgent } from '../policy/profile.ts';
import type { Failure } from '../policy/retry.ts';
import { retryAfterMs } from '../policy/retry-after.ts';
import type { RequestBody } from './body.ts';
import type { House, WebsiteSettings } from './house.ts';
import { fillJar, type Jar, openJar, withCookies } from './jar.ts';
import { type Peeked, peek } from './peek.ts';
import type { InboundResponse, OutboundRequest, Soon, Stop, Turn } from './ports.ts';
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
  const opened = openJar(house.cookies, job, turn);
  const jar = opened instanceof Promise ? await opened : opened;
  const request = dress(house, run, turn, website, body, jar);
  let response: InboundResponse | undefined;
  try {
    response = await house.transport.attempt(
      request,
      { upstream: turn.upstream, owner, session: session?.id, headMs: controls.timeoutMs, chunkMs: controls.timeoutMs },
      stop,
    );
    run.exit = response.exit;
    run.requestMs = response.requestMs;
    const soon = judge(house, job, response, stop);
    const judged = soon instanceof Promise ? await soon : soon;
    const kept = keepCookies(house, run, turn, jar, response, judged);
    if (kept) await kept;
    return conclude(house, run, turn, response, judged, startedAt);
  } catch (error) {
    response?.body.abort();
    if (error instanceof Gone && run.requestMs !== undefined)
      record(run, turn, run.exit ?? 'direct', 'gone', undefined, startedAt, undefined);
    if (!(error instanceof Fault)) throw error;
    run.exit = turn.upstream.label ?? error.exit ?? response?.exit;
    record(run, turn, run.exit ?? 'direct', error.condition, undefined, startedAt, error.reason);
    return { kind: 'fault', fault: error };
  }
};

const UNJUDGED: Judgement = { ban: undefined, suspect: undefined };

/** By the head, and by the start of the body where the head leaves it open. The response then goes on from its first byte. */
const judge = (house: House, job: Job, response: InboundResponse, stop: Stop): Soon<Judgement> => {
  // A 101 is the handshake done: there is no page to judge.
  if (job.controls.noBancheck || response.upgraded) return UNJUDGED;
  const found = house.rules().bans.judge(job, response);
  if (!isOpen(found)) return found;
  const judgeStart = ({ start, body }: Peeked): Judgement => {
    response.body = body;
    return found.judge(start);
  };
  const peeked = peek(response.body, found, house.clock, stop);
  return peeked instanceof Promise ? peeked.then(judgeStart) : judgeStart(peeked);
};

/** A session in the making goes on through another upstream: what a ban answer of this one sets is not for its jar. */
const keepCookies = (
  house: House,
  { job }: Run,
  { ticket }: Turn,
  jar: Jar | undefined,
  { headers }: InboundResponse,
  { ban }: Judgement,
): Soon<void> => (ban && ticket.fresh ? undefined : fillJar(house, job, jar, headers));

const conclude = (
  house: House,
  run: Run,
  turn: Turn,
  response: InboundResponse,
  { ban, suspect }: Judgement,
  startedAt: number,
): Outcome => {
  const note = suspect && `suspect: ${suspect.id}`;
  record(run, turn, response.exit, ban?.id ?? 'fine', response.status, startedAt, note);
  if (ban === undefined) return { kind: 'answer', response };
  response.body.abort();
  obey(house, turn, response, ban);
  return { kind: 'ban', rule: ban.id };
};

/** A website that asks to slow down is heard. */
const obey = (house: House, turn: Turn, { status, headers }: InboundResponse, ban: BanRule): void => {
  if (status !== 429 && ban.verdict !== 'throttle') return;
  const pauseMs = retryAfterMs(headers, house.clock.now());
  if (pauseMs > 0) house.gate.slowDown(turn.ticket, pauseMs);
};

const dress = (
  house: House,
  run: Run,
  turn: Turn,
  website: WebsiteSettings,
  body: RequestBody | undefined,
  jar: Jar | undefined,
): OutboundRequest => {
  const { job } = run;
  const { controls } = job;
  const choice = controls.profile ?? controls.ua;
  const seed = turn.ticket.session?.seed;
  const agent =
    choice === 'pass' ? undefined : pickAgent(house.rules().agents[choice], seed === undefined ? house.random() : seed);
  // Cookies first: a profile puts them at its browser's place.
  const dressed = dressUserAgent(withCookies(job.headers, job, jar, house.clock.now()), controls, agent, {
    method: job.method,
    secure: job.target.scheme === 'https',
    webSocket: job.webSocket,
  });
  run.agent = dressed.agent;
  return {
    method: job.method,
    target: job.target,
    path: job.path,
    headers: dressed.headers,
    framed: job.framed || dressed.framed,
    webSocket: job.webSocket,
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
