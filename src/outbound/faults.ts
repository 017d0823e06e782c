/** Tells whose failure something was: errno, TLS code or an upstream's mark in, `Fault` out. */
import { type Condition, Fault, type FaultDetail } from '../model/errors.ts';
import { type HeaderList, lastValue } from '../model/headers.ts';

const BY_CODE: Readonly<Record<string, Condition>> = {
  ECONNREFUSED: 'econnrefused',
  ECONNRESET: 'econnreset',
  EPIPE: 'send_failed',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'ehostunreach',
  ENETUNREACH: 'ehostunreach',
  EHOSTDOWN: 'ehostunreach',
  ENETDOWN: 'ehostunreach',
  EADDRNOTAVAIL: 'ehostunreach',
  EACCES: 'ehostunreach',
  EPERM: 'ehostunreach',
  EINVAL: 'ehostunreach',
  ENOTFOUND: 'nxdomain',
  EAI_AGAIN: 'nxdomain',
  EAI_FAIL: 'nxdomain',
  EAI_NODATA: 'nxdomain',
  EAI_NONAME: 'nxdomain',
};

/** This machine ran out of something: nobody else's fault, nobody is marked down. */
const EXHAUSTED = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** Certificate failures by what an operator wants to read (robustness E06). */
const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate expired',
  CERT_NOT_YET_VALID: 'certificate not yet valid',
  CERT_REVOKED: 'certificate revoked',
  CERT_UNTRUSTED: 'certificate not trusted',
  CERT_SIGNATURE_FAILURE: 'certificate signature wrong',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in chain',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown issuer',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown issuer',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate for another host',
};

/** The peer closed where more was owed. */
export class ClosedEarly extends Error {
  override readonly name = 'ClosedEarly';
  constructor() {
    super('connection closed');
  }
}

const property = (error: unknown, name: 'code' | 'syscall'): string | undefined => {
  const value = error instanceof Error ? (error as unknown as Record<string, unknown>)[name] : undefined;
  return typeof value === 'string' ? value : undefined;
};

export const errorCode = (error: unknown): string | undefined => property(error, 'code');

/** Node's own words for a close inside the handshake carry the code of a reset, but come from no system call. */
const isSilentClose = (error: unknown): boolean =>
  error instanceof ClosedEarly || (errorCode(error) === 'ECONNRESET' && property(error, 'syscall') === undefined);

/** Bytes could not be handed to the kernel. */
export const isWriteError = (error: unknown): boolean => property(error, 'syscall') === 'write';

const conditionOf = (error: unknown): Condition => {
  if (isSilentClose(error)) return 'socket_closed_remotely';
  return BY_CODE[errorCode(error) ?? ''] ?? 'send_failed';
};

const word = (error: unknown): string => {
  if (error instanceof ClosedEarly) return 'closed';
  return errorCode(error) ?? 'failed';
};

const exhausted = (step: string, error: unknown): Fault | undefined => {
  const code = errorCode(error);
  if (code === undefined || !EXHAUSTED.has(code)) return undefined;
  return new Fault('serverbusy', { reason: `${step}: ${code} on this machine`, cause: error });
};

/** A failure after the upstream's own steps: the target's. */
export const targetFault = (step: string, error: unknown, detail: FaultDetail = {}): Fault => {
  if (error instanceof Fault) return error;
  const local = exhausted(step, error);
  if (local) return local;
  if (property(error, 'syscall') === 'bind') return upstreamFault(step, error);
  return new Fault(conditionOf(error), { ...detail, reason: `${step}: ${word(error)}`, cause: error });
};

/** A failure of the upstream itself: the next one is tried, this one is down for a while. */
export const upstreamFault = (step: string, error: unknown): Fault => {
  if (error instanceof Fault) return error;
  const what = typeof error === 'string' ? error : (TLS_REASONS[errorCode(error) ?? ''] ?? word(error));
  return (
    exhausted(step, error) ??
    new Fault('noslaves', { upstreamFailed: true, reason: `upstream ${step}: ${what}`, cause: error })
  );
};

/** A failure inside the target's TLS handshake: a cut connection is one, anything else is about TLS (E06). */
export const targetTlsFault = (error: unknown): Fault => {
  const code = errorCode(error) ?? 'failed';
  if (isSilentClose(error) || BY_CODE[code] !== undefined) return targetFault('target TLS', error);
  return new Fault('tls_failed', { reason: `target TLS: ${TLS_REASONS[code] ?? code}`, cause: error });
};

/** What a mark says: the condition, and whether the request may have reached the target. */
interface Mark {
  readonly condition: Condition;
  readonly reached: boolean;
}

const unreached = (condition: Condition): Mark => ({ condition, reached: false });
const reached = (condition: Condition): Mark => ({ condition, reached: true });

/** By name, or by name and errno. Squid 5 says READ_ERROR 0 and CANNOT_FORWARD for names that do not resolve. */
const SQUID: Readonly<Record<string, Mark>> = {
  ERR_DNS_FAIL: unreached('nxdomain'),
  ERR_CONNECT_FAIL: unreached('econnrefused'),
  ERR_CANNOT_FORWARD: unreached('ehostunreach'),
  ERR_READ_TIMEOUT: reached('timeout'),
  ERR_LIFETIME_EXP: reached('timeout'),
  ERR_ZERO_SIZE_OBJECT: reached('socket_closed_remotely'),
  'ERR_READ_ERROR 0': reached('ehostunreach'),
  ERR_READ_ERROR: reached('econnreset'),
  ERR_WRITE_ERROR: reached('send_failed'),
  ERR_INVALID_RESP: reached('send_failed'),
};

/** Error types of RFC 9209. */
const PROXY_STATUS: Readonly<Record<string, Mark>> = {
  dns_timeout: unreached('nxdomain'),
  dns_error: unreached('nxdomain'),
  destination_not_found: unreached('ehostunreach'),
  destination_unavailable: unreached('ehostunreach'),
  destination_ip_unroutable: unreached('ehostunreach'),
  connection_refused: unreached('econnrefused'),
  connection_timeout: unreached('timeout'),
  connection_terminated: reached('socket_closed_remotely'),
  connection_read_timeout: reached('timeout'),
  connection_write_timeout: reached('timeout'),
  http_response_timeout: reached('timeout'),
  http_response_incomplete: reached('socket_closed_remotely'),
  http_protocol_error: reached('send_failed'),
  tls_protocol_error: unreached('tls_failed'),
  tls_certificate_error: unreached('tls_failed'),
  tls_alert_received: unreached('tls_failed'),
};

const OTHER_MARK = reached('ehostunreach');

/** What an upstream proxy's own 5xx says about the target; `undefined` when the answer carries no mark. */
const markOf = (status: number, headers: HeaderList): Mark | undefined => {
  if (status < 500 || status > 599) return undefined;
  const squid = lastValue(headers, 'x-squid-error');
  if (squid !== undefined) return SQUID[squid] ?? SQUID[squid.split(' ', 1)[0] ?? ''] ?? OTHER_MARK;
  const error = /;\s*error\s*=\s*"?([a-z_]+)/i.exec(lastValue(headers, 'proxy-status') ?? '')?.[1];
  if (error === undefined) return undefined;
  return PROXY_STATUS[error.toLowerCase()] ?? OTHER_MARK;
};

/** An http(s) upstream's answer where it speaks for itself: 407 is its failure, a marked 5xx tells of the target. */
export const proxyAnswerFault = (step: string, status: number, headers: HeaderList): Fault | undefined => {
  if (status === 407) return upstreamFault(step, 'credentials refused (407)');
  const mark = markOf(status, headers);
  if (mark === undefined) return undefined;
  return new Fault(mark.condition, {
    sent: mark.reached ? 'all' : 'nothing',
    reason: `${step}: upstream says ${status}`,
  });
};
