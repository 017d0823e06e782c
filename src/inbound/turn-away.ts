/** How clients are turned away: refused requests, refused CONNECTs, and bytes that are no request. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Condition, Refusal } from '../model/errors.ts';
import { lastValue } from '../model/headers.ts';
import type { Account } from '../model/job.ts';
import { asRefusal } from '../pipeline/exchange.ts';
import type { Clock, Ledger, Receipt, Reply, Soon } from '../pipeline/ports.ts';
import type { StopButton } from '../pipeline/stop.ts';
import type { Authenticated } from '../policy/authenticate.ts';
import { type RefusalAnswer, refusalAnswer } from '../policy/refuse.ts';
import type { ClientRequest } from './client-request.ts';
import type { Guesses } from './guesses.ts';
import { type Entrance, type Place, WRONG_KEY } from './intake.ts';
import { type Link, linger, linkOf } from './link.ts';
import { rawAnswer } from './raw-answer.ts';
import type { Malformed } from './request-head.ts';

/** A request on its way in: what is known of it when it has to be refused. */
export interface Arrival {
  readonly id: string;
  readonly request: Omit<ClientRequest, 'socket'>;
  readonly link: Link;
  readonly reply: Reply;
  readonly stop: StopButton;
  place: Place | undefined;
  known: Authenticated | undefined;
}

export interface TurnAwayPorts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly guesses: Guesses;
  readonly version: string;
  entrance(): Entrance;
}

const idPrefix = randomBytes(6).toString('hex');
let idCount = 0;
/** Unique per request over all processes, cheap to make. */
export const nextId = (): string => `${idPrefix}-${(++idCount).toString(36)}`;

export const makeTurnAway = (ports: TurnAwayPorts) => {
  const answerOf = (refusal: Refusal, account?: Account, session?: string): RefusalAnswer =>
    refusalAnswer(
      refusal,
      account ? (account.dialect === 'spm' ? 'spm' : 'crawlera') : ports.entrance().strangersDialect,
      { version: ports.version, exit: undefined, session, nextRequestInMs: undefined },
      ports.entrance().operatorContact,
    );

  /** Runs `answer`, after a while for an address that guesses keys (robustness C06). */
  const inTime = (refusal: Refusal, remote: string, answer: () => void): Soon<void> => {
    const waitMs = refusal.detail.reason === WRONG_KEY ? ports.guesses.wrong(remote) : 0;
    if (waitMs === 0) return answer();
    return new Promise((resolve) => ports.clock.after(waitMs, () => resolve(answer())));
  };

  /** Resolves when the answer has been handed over; rejects never. */
  const request = (arrival: Arrival, error: unknown): Soon<void> => {
    const { link, reply, known, place } = arrival;
    const refusal = asRefusal(error);
    const { condition } = refusal;
    if (condition === 'internal_error') ports.ledger.bug(error, 'front');
    if (UNREADABLE.has(condition)) link.closing = true;
    const answer = answerOf(refusal, known?.account, sessionSent(arrival, condition));
    ports.ledger.finished(receiptOf(arrival, answer.status, refusal));
    return inTime(refusal, link.remote, () => {
      if (condition === 'bad_auth' && place?.kind === 'endpoint') reply.send(challenge(answer, ports.entrance()), '');
      else reply.send(answer, answer.body);
    });
  };

  /**
   * Bytes that are no request: 400 or 413 and the connection closed (A01, T-11). Within a body they end its request;
   * behind a request still being answered that answer is the connection's last.
   */
  const malformed = (socket: Socket, flaw: Malformed): void => {
    const link = linkOf(socket);
    if (link.closing || !socket.writable) {
      socket.destroy();
      return;
    }
    link.closing = true;
    const refusal = new Refusal(flaw.tooLarge ? 'headers_too_large' : 'invalid_request', { reason: flaw.message });
    if (link.running.size > 0) {
      link.last?.stop.press(refusal);
      return;
    }
    const answer = answerOf(refusal);
    socket.write(rawAnswer(answer, answer.body, true));
    linger(socket);
    ports.ledger.finished(blankReceipt(refusal, answer.status, '?'));
  };

  /** A refused CONNECT (T-06, U-05). `goOn`: the connection stays open, and is served on once the answer is written. */
  const connect = (socket: Socket, refusal: Refusal, goOn: (() => void) | undefined): void => {
    const answer = answerOf(refusal);
    ports.ledger.finished(blankReceipt(refusal, answer.status, 'CONNECT'));
    void inTime(refusal, linkOf(socket).remote, () => {
      if (!socket.writable) return;
      socket.write(rawAnswer(answer, answer.body, goOn === undefined));
      if (goOn) goOn();
      else linger(socket);
    });
  };

  return { request, malformed, connect };
};

const UNREADABLE: ReadonlySet<Condition> = new Set(['invalid_request', 'headers_too_large']);

const SESSION = 'x-crawlera-session';

/**
 * The id a session request names, in its own headers or those of its CONNECT (H-06), so that even an early error says
 * which session it is about. The session endpoints ignore it (S-06).
 */
const sessionSent = ({ request, link, place }: Arrival, condition: Condition): string | undefined => {
  if (condition === 'bad_auth' || (place?.kind === 'endpoint' && !place.url.startsWith('/fetch'))) return undefined;
  const id = lastValue(request.rawHeaders, SESSION)?.trim() || lastValue(link.tunnel?.headers ?? [], SESSION)?.trim();
  return id && /^\d{1,20}$/.test(id) ? id : undefined;
};

/** The same refusal with 401, for clients that cannot read a 407 (U-08). */
const challenge = (answer: RefusalAnswer, entrance: Entrance): RefusalAnswer => {
  if (entrance.authStatus === 407) return answer;
  const headers = answer.headers.map((name) => (name === 'Proxy-Authenticate' ? 'WWW-Authenticate' : name));
  return { ...answer, status: 401, reason: 'Unauthorized', headers };
};

const blankReceipt = (refusal: Refusal, status: number, method: string): Receipt => ({
  id: nextId(),
  job: undefined,
  account: undefined,
  method,
  website: undefined,
  status,
  outcome: refusal.condition,
  session: undefined,
  attempts: [],
  waitedMs: 0,
  tookMs: 0,
  bytes: 0,
  reason: refusal.detail.reason,
});

/** Receipt of a request that never became a job. */
export const receiptOf = (arrival: Arrival, status: number, refusal: Refusal | undefined): Receipt => ({
  ...blankReceipt(refusal ?? new Refusal('internal_error'), status, arrival.request.method),
  id: arrival.id,
  account: arrival.known?.account.id,
  website: arrival.place?.kind === 'target' ? arrival.place.target.website : undefined,
});
