/** Every refusal this proxy can answer with, and the errors that carry one from where it is found to where it is answered. */

/** Who a client should hold responsible: itself, the website, an upstream proxy, or this proxy. */
export type Blame = 'client' | 'target' | 'upstream' | 'proxy';

export type Dialect = 'crawlera' | 'spm';

interface WireErrorRow {
  readonly status: number;
  /** Reason phrase; Node knows none for the vendor's own statuses. */
  readonly phrase: string;
  /** Value of `X-Crawlera-Error`, spelled per dialect (E-03, E-06). */
  readonly code: Readonly<Record<Dialect, string>>;
  /** Body: one ASCII line; `<...>` is replaced by the refusal's subject (E-02). */
  readonly message: string;
  readonly blame: Blame;
  /** Whether `Retry-After` is part of the answer (E-08). */
  readonly retryAfter?: true;
}

const same = (code: string): Record<Dialect, string> => ({ crawlera: code, spm: code });

/** One row a condition. The statuses, codes and messages are those of E-03 and E-04. */
export const WIRE_ERRORS = {
  bad_session_id: {
    status: 400,
    phrase: 'Bad Request',
    code: same('bad_session_id'),
    message: 'Incorrect session ID',
    blame: 'client',
  },
  user_session_limit: {
    status: 400,
    phrase: 'Bad Request',
    code: same('user_session_limit'),
    message: 'Session limit exceeded',
    blame: 'client',
  },
  invalid_request: {
    status: 400,
    phrase: 'Bad Request',
    code: same('invalid_request'),
    message: 'Invalid request',
    blame: 'client',
  },
  bad_uri: { status: 400, phrase: 'Bad Request', code: same('bad_uri'), message: 'Bad URI', blame: 'client' },
  bad_endpoint: {
    status: 404,
    phrase: 'Not Found',
    code: same('bad_endpoint'),
    message: 'Unknown endpoint',
    blame: 'client',
  },
  bad_method: {
    status: 405,
    phrase: 'Method Not Allowed',
    code: same('invalid_request'),
    message: 'Method not allowed',
    blame: 'client',
  },
  bad_auth: {
    status: 407,
    phrase: 'Proxy Authentication Required',
    code: { crawlera: 'bad_auth', spm: 'bad_proxy_auth' },
    message: '',
    blame: 'client',
  },
  headers_too_large: {
    status: 413,
    phrase: 'Payload Too Large',
    code: same('invalid_request'),
    message: 'Request headers too large',
    blame: 'client',
  },
  too_many_conns: {
    status: 429,
    phrase: 'Too Many Requests',
    code: same('too_many_conns'),
    message: 'Too many connections',
    blame: 'client',
  },
  header_auth: {
    status: 470,
    phrase: 'Unauthorized Header',
    code: same('header_auth'),
    message: 'Unauthorized Crawlera header: "<>"',
    blame: 'client',
  },
  internal_error: {
    status: 500,
    phrase: 'Internal Server Error',
    code: same('internal_error'),
    message: 'Unexpected error',
    blame: 'proxy',
  },
  no_upgrade: {
    status: 501,
    phrase: 'Not Implemented',
    code: same('invalid_request'),
    message: 'Upgrade not supported',
    blame: 'proxy',
  },
  nxdomain: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('nxdomain'),
    message: 'Error looking up domain',
    blame: 'target',
  },
  econnrefused: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('econnrefused'),
    message: 'Connection refused',
    blame: 'target',
  },
  econnreset: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('econnreset'),
    message: 'Connection reset',
    blame: 'target',
  },
  ehostunreach: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('ehostunreach'),
    message: 'Host unreachable',
    blame: 'target',
  },
  socket_closed_remotely: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('socket_closed_remotely'),
    message: 'Server closed socket connection',
    blame: 'target',
  },
  send_failed: {
    status: 502,
    phrase: 'Bad Gateway',
    code: same('send_failed'),
    message: 'Send failed',
    blame: 'target',
  },
  tls_failed: {
    status: 502,
    phrase: 'Bad Gateway',
    code: { crawlera: 'send_failed', spm: 'ssl_tunnel_error' },
    message: 'Send failed',
    blame: 'target',
  },
  noslaves: {
    status: 503,
    phrase: 'Service Unavailable',
    code: same('noslaves'),
    message: 'No available proxies',
    blame: 'upstream',
    retryAfter: true,
  },
  slavebanned: {
    status: 503,
    phrase: 'Service Unavailable',
    code: { crawlera: 'slavebanned', spm: 'banned' },
    message: 'Website crawl ban',
    blame: 'target',
    retryAfter: true,
  },
  serverbusy: {
    status: 503,
    phrase: 'Service Unavailable',
    code: same('serverbusy'),
    message: 'Server busy: too many outstanding requests',
    blame: 'proxy',
    retryAfter: true,
  },
  timeout: {
    status: 504,
    phrase: 'Gateway Timeout',
    code: same('timeout'),
    message: 'Timeout from upstream server',
    blame: 'target',
  },
  msgtimeout: {
    status: 504,
    phrase: 'Gateway Timeout',
    code: same('msgtimeout'),
    message: 'Timeout processing HTTP stream',
    blame: 'target',
  },
  domain_forbidden: {
    status: 523,
    phrase: 'Domain Forbidden',
    code: same('domain_forbidden'),
    message: 'Domain forbidden. Please contact <>',
    blame: 'client',
  },
  bad_header: {
    status: 540,
    phrase: 'Bad Header Value',
    code: same('bad_header'),
    message: 'Bad header value for <>',
    blame: 'client',
  },
  data_error: {
    status: 541,
    phrase: 'Response Too Large',
    code: same('data_error'),
    message: 'Response size is too big',
    blame: 'target',
  },
} as const satisfies Record<string, WireErrorRow>;

/** The internal name of a refusal: a key of the table. Several may share one wire code. */
export type Condition = keyof typeof WIRE_ERRORS;

export const wireError = (condition: Condition): WireErrorRow => WIRE_ERRORS[condition];

export interface RefusalDetail {
  /** Fills the `<>` of the message: a header name. */
  readonly subject?: string;
  /** Milliseconds until a retry makes sense; written as whole seconds (E-09). */
  readonly retryAfterMs?: number;
  /** Session id to name in `X-Crawlera-Session` (R-03, S-09). */
  readonly session?: string;
  /** Milliseconds of calculated delay, for `X-Crawlera-Next-Request-In` (P-01.3). */
  readonly nextRequestInMs?: number;
  /** For the log only, never shown to the client. */
  readonly reason?: string;
  /** Value of `Allow` with `bad_method`. */
  readonly allow?: string;
}

/** Ends the request with an answer of ours. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly condition: Condition;
  readonly detail: RefusalDetail;
  /** Calculated delay of a request refused while it waited, milliseconds (P-04). */
  delayMs: number | undefined = undefined;
  constructor(condition: Condition, detail: RefusalDetail = {}) {
    super(detail.reason ? `${condition}: ${detail.reason}` : condition);
    this.condition = condition;
    this.detail = detail;
  }
}

/** How much of the request had been handed to the kernel when an attempt failed. */
export type Sent = 'nothing' | 'some' | 'all';

export interface FaultDetail {
  /** True when the upstream itself failed: it is marked down and never shown as the target's failure. */
  readonly upstreamFailed?: boolean;
  readonly sent?: Sent;
  /** True once the head of a response was read: no silent second attempt for that. */
  readonly headRead?: boolean;
  /** For the log: what happened in which step, without secrets. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** One attempt failed; what outbound throws. `condition` is what the client is told if no attempt follows. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly condition: Condition;
  readonly upstreamFailed: boolean;
  readonly sent: Sent;
  readonly headRead: boolean;
  readonly reason: string | undefined;
  /** Where the attempt left, in the form of `X-Crawlera-Slave`, once a connection was there. */
  exit: string | undefined = undefined;
  constructor(condition: Condition, detail: FaultDetail = {}) {
    super(detail.reason ? `${condition}: ${detail.reason}` : condition, { cause: detail.cause });
    this.condition = condition;
    this.upstreamFailed = detail.upstreamFailed ?? false;
    this.sent = detail.sent ?? 'nothing';
    this.headRead = detail.headRead ?? false;
    this.reason = detail.reason;
  }
}

/** The client left: nothing is answered, everything is released (T-19). */
export class Gone extends Error {
  override readonly name = 'Gone';
  constructor(reason = 'client left') {
    super(reason);
  }
}
