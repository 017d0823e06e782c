/** Everything the pipeline needs from outside, as types. Implementations live in store, outbound, inbound and observe. */
import type { Duplex } from 'node:stream';
import type { CookieChange, JarKey, Shelf } from '../model/cookies.ts';
import type { Condition, Fault } from '../model/errors.ts';
import type { HeaderList } from '../model/headers.ts';
import type { Job, Target, Upstream } from '../model/job.ts';
import type { Authenticated } from '../policy/authenticate.ts';

/** A result that is already there or will be: the memory store answers at once, Redis later. */
export type Soon<T> = T | Promise<T>;

export interface Timer {
  cancel(): void;
}

/** Time as the pipeline sees it; tests put a fake one here. */
export interface Clock {
  /** Wall clock, whole milliseconds. */
  now(): number;
  after(ms: number, fn: () => void): Timer;
}

/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * One request's stop button. At most one listener at a time: the step that is running now.
 * Pressed once, with `Gone` when the client left or a `Fault`/`Refusal` when a limit of ours ended it.
 */
export interface Stop {
  readonly reason: Error | undefined;
  /** Registers the running step; called at once (asynchronously never) when already pressed. `undefined` unregisters. */
  listen(fn: ((reason: Error) => void) | undefined): void;
}

// ---- admission -------------------------------------------------------------------------------------------------------

export type SessionAsk =
  | { readonly by: 'create' }
  | { readonly by: 'id'; readonly id: string }
  /** U-11: made at its first use, silently anew when it has ended. */
  | { readonly by: 'name'; readonly name: string };

/** What one request asks of the gate. Times in milliseconds. */
export interface Ask {
  readonly account: string;
  readonly maxConnections: number;
  readonly maxSessions: number;
  readonly website: string;
  readonly siteDelayMs: number;
  readonly slaveDelayMs: number;
  readonly region: string | undefined;
  readonly noBancheck: boolean;
  readonly session: SessionAsk | undefined;
}

/** A live session as a request sees it. */
export interface SessionView {
  readonly id: string;
  /** Fixed for the session's life: picks its one browser identity (S-21). */
  readonly seed: number;
}

/** A request's place in the house from admission to its end. Opaque to the exchange but for these fields. */
export interface Ticket {
  readonly session: SessionView | undefined;
  /** The session was made by this request: it may still rotate (S-12). False without a session. */
  readonly fresh: boolean;
  /** Calculated delay at admission (P-01.2); sent as Next-Request-In from the soft limit on (P-04). */
  readonly delayMs: number;
}

/** The right to send one attempt now. */
export interface Turn {
  readonly ticket: Ticket;
  readonly upstream: Upstream;
  /** Milliseconds this turn was waited for. */
  readonly waitedMs: number;
}

/** How an exchange ended, for the session it used. */
export interface Ending {
  /** Upstream of the attempt whose result was returned: a session made by this request keeps it (S-12). */
  readonly upstream: Upstream | undefined;
}

/** Seats, sessions, pacing and the choice of upstream, in front of the store (sections 7, 8 and 14 of the contract). */
export interface Gate {
  /**
   * Takes a seat, finds or makes the session, and waits for the first turn (P-01 to P-03).
   * Throws `Refusal`: bad_session_id, user_session_limit, too_many_conns, slavebanned, noslaves, serverbusy;
   * throws the stop's reason when stopped while waiting. After a throw nothing is held.
   */
  enter(ask: Ask, stop: Stop): Soon<Turn>;
  /**
   * Waits for another turn with the age of the first (P-07), through an upstream not in `used`; `repeat` allows used ones
   * once no other is left. `undefined` when none is eligible. In a session it is the same upstream again.
   * After a throw the ticket is still held: `leave` is owed.
   */
  again(ticket: Ticket, used: ReadonlySet<string>, repeat: boolean, stop: Stop): Soon<Turn | undefined>;
  /** Gives the seat back and touches the session (S-11). Exactly once a ticket; never throws, not awaited. */
  leave(ticket: Ticket, ending: Ending): void;
  /**
   * Records a ban of `turn.upstream` for the website (A-09, S-14). Not awaited by the exchange before the next attempt
   * has to know of it: the promise resolves when it counts.
   * Resolves to the milliseconds a session's ban still lasts, or those until a new request could start (E-09).
   */
  banned(turn: Turn, rule: string): Soon<number>;
  /** Milliseconds a new request like this one would have to wait, for `Retry-After` of noslaves and bans (E-09). */
  outlook(ticket: Ticket): Soon<number>;
  /** The upstream itself failed: down for a while unless it is the last one up. */
  upstreamFailed(upstream: Upstream, reason: string): void;
  /** A 429 with `Retry-After`: delays the account's next turn for the website. */
  slowDown(ticket: Ticket, ms: number): void;
}

/** Sessions as `/sessions` sees them (S-04 to S-10). */
export interface SessionBook {
  /** Throws `Refusal` user_session_limit, noslaves or serverbusy. */
  open(account: string, maxSessions: number, region: string | undefined): Soon<{ id: string; upstream: Upstream }>;
  /** Live sessions only. */
  list(account: string): Soon<readonly { id: string; upstream: Upstream }[]>;
  /** False when there is no such live session of this account. */
  close(account: string, id: string): Soon<boolean>;
}

/** Cookie jars (section 10). A jar comes into being with its first cookie. */
export interface CookieStore {
  /** What the jar holds for the site, if it holds anything; the jar counts as used now (K-02). */
  read(jar: JarKey, site: string): Soon<Shelf | undefined>;
  /** Makes one response's changes, each for itself: what others changed meanwhile stays. Nothing for an ended session. */
  keep(jar: JarKey, site: string, changes: readonly CookieChange[]): Soon<void>;
}

/** The upstreams of the current configuration. Replaced as a whole on reload. */
export interface Pool {
  readonly all: readonly Upstream[];
  byId(id: string): Upstream | undefined;
}

// ---- transport -------------------------------------------------------------------------------------------------------

/** Receives a body. `write` false = stop until the source's `resume`. Exactly one of `end` and `fail` closes it. */
export interface BodySink {
  write(chunk: Buffer): boolean;
  end(): void;
  fail(error: Error): void;
}

/** A body that is pushed into a sink, once. Nothing flows before `start`. */
export interface BodySource {
  start(sink: BodySink): void;
  /** The sink has room again. */
  resume(): void;
  /** Nobody wants the rest: the connection behind it is closed, or drained when that is cheaper. */
  abort(): void;
}

/** A request body as an attempt sends it. */
export interface OutboundBody {
  /** Announced length in bytes; `undefined` = chunked. */
  readonly length: number | undefined;
  /** From its first byte, each time. */
  readonly source: BodySource;
}

export interface OutboundRequest {
  readonly method: string;
  readonly target: Target;
  readonly path: string;
  /** Final header list, `Host` in place; transport adds an upstream's credentials and, unless `framed`, the framing line. */
  readonly headers: HeaderList;
  /** The headers hold the framing line of `body` already (F-04). */
  readonly framed: boolean;
  /** A 101 may answer it; then it goes through a tunnel of its own, which no proxy on the way reads (T-18). */
  readonly webSocket: boolean;
  readonly body: OutboundBody | undefined;
  readonly servername: string | undefined;
  /** Certificate of the target is not verified (C-07). */
  readonly insecureTarget: boolean;
}

export interface AttemptOptions {
  readonly upstream: Upstream;
  /** Who may share a pooled connection: account and session (robustness C05). */
  readonly owner: string;
  /** Session id, put in place of `{session}` of a rotating upstream's URL. */
  readonly session: string | undefined;
  /** Until the response head, connecting included. */
  readonly headMs: number;
  /** Longest pause of the body while it is being read. */
  readonly chunkMs: number;
}

export interface InboundResponse {
  readonly status: number;
  readonly reason: string;
  /** As received; hop-by-hop fields still in. */
  readonly headers: HeaderList;
  /** Announced length, after framing rules; `undefined` = until the end. */
  readonly length: number | undefined;
  /** Replaced by one that begins anew once its start has been looked at. */
  body: BodySource;
  /** From writing the request until its head arrived, ms with fractions. */
  readonly requestMs: number;
  /** `ip:port` of the exit: the upstream's label, or the local address and port 0 for a direct one. */
  readonly exit: string;
  /** True when the request went over a pooled connection. */
  readonly reused: boolean;
  /**
   * With a 101: the connection itself, paused, bytes behind the head first. Whoever takes it owns it; until then
   * aborting `body` closes it.
   */
  readonly upgraded?: Duplex;
}

export interface Transport {
  /** One try through one upstream. Rejects with `Fault`, or with the stop's reason within a second of it (T-19). */
  attempt(request: OutboundRequest, options: AttemptOptions, stop: Stop): Promise<InboundResponse>;
  close(): Promise<void>;
}

// ---- the answer ------------------------------------------------------------------------------------------------------

export interface ReplyHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
}

/** The client's side of one exchange; the only thing that writes a status. */
export interface Reply {
  /**
   * Streams a body after a head: the point of no return. Resolves when the last byte was written or the body broke;
   * past `maxBytes` the connection is cut (A-12, E-10).
   */
  stream(head: ReplyHead, body: BodySource, stop: Stop, maxBytes: number): Soon<Delivery>;
  /** A whole answer of ours. */
  send(head: ReplyHead, body: string): void;
  /**
   * Writes a 101 and joins the client with `target`, which it closes in the end; resolves when both have gone. Only where a
   * `webSocket` job was made. Counted are the bytes to the client.
   */
  upgrade?(head: ReplyHead, target: Duplex, stop: Stop): Promise<Delivery>;
}

/** What reached the client of a streamed body. */
export interface Delivery {
  readonly bytes: number;
  /** Set when the body ended early: the connection was cut (E-10). */
  readonly failure: Error | undefined;
}

// ---- direct endpoints ------------------------------------------------------------------------------------------------

export interface EndpointAnswer extends ReplyHead {
  readonly body: string;
}

/** One endpoint of the proxy port, found by its path (section 1, T-01). */
export interface Endpoint {
  /** Needs no key: the CA certificate and the welcome page. */
  readonly open: boolean;
  /** Answers by itself, or makes a job for the exchange (`/fetch`). Throws `Refusal`, 405 for a wrong method among them. */
  run(known: Authenticated | undefined, id: string): Soon<EndpointAnswer | Job>;
}

export interface Endpoints {
  find(method: string, url: string, headers: HeaderList): Endpoint | undefined;
}

// ---- the receipt -----------------------------------------------------------------------------------------------------

export interface AttemptRecord {
  /** `X-Crawlera-Slave` form, or the upstream's label when no connection came about. */
  readonly exit: string;
  readonly upstream: string;
  /** `fine`, a ban rule's name, the condition of the fault, or `gone` when the client left while its body was judged. */
  readonly outcome: string;
  readonly status: number | undefined;
  readonly tookMs: number;
  readonly reason: string | undefined;
}

/** One finished request, for log, metrics and usage. Written exactly once a request, refused ones included. */
export interface Receipt {
  readonly id: string;
  readonly job: Job | undefined;
  readonly account: string | undefined;
  readonly method: string;
  readonly website: string | undefined;
  readonly status: number | undefined;
  /** `ok`, `gone`, or the condition answered. */
  readonly outcome: 'ok' | 'gone' | 'cut' | Condition;
  readonly session: string | undefined;
  readonly attempts: readonly AttemptRecord[];
  readonly waitedMs: number;
  readonly tookMs: number;
  readonly bytes: number;
  readonly reason: string | undefined;
}

export interface Ledger {
  finished(receipt: Receipt): void;
  /** A bug: logged with its stack. */
  bug(error: unknown, where: string): void;
}

export type { Fault };
