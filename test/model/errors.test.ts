import { describe, expect, it } from 'vitest';
import { type Condition, Fault, Gone, Refusal, WIRE_ERRORS, wireError } from '../../src/model/errors.ts';

/** E-03 and E-04, written down a second time so that a slip in the table shows. */
const CONTRACT: readonly [Condition, number, string, string, string][] = [
  ['bad_session_id', 400, 'bad_session_id', 'bad_session_id', 'Incorrect session ID'],
  ['user_session_limit', 400, 'user_session_limit', 'user_session_limit', 'Session limit exceeded'],
  ['bad_auth', 407, 'bad_auth', 'bad_proxy_auth', ''],
  ['too_many_conns', 429, 'too_many_conns', 'too_many_conns', 'Too many connections'],
  ['header_auth', 470, 'header_auth', 'header_auth', 'Unauthorized Crawlera header: "<>"'],
  ['internal_error', 500, 'internal_error', 'internal_error', 'Unexpected error'],
  ['nxdomain', 502, 'nxdomain', 'nxdomain', 'Error looking up domain'],
  ['econnrefused', 502, 'econnrefused', 'econnrefused', 'Connection refused'],
  ['econnreset', 502, 'econnreset', 'econnreset', 'Connection reset'],
  [
    'socket_closed_remotely',
    502,
    'socket_closed_remotely',
    'socket_closed_remotely',
    'Server closed socket connection',
  ],
  ['send_failed', 502, 'send_failed', 'send_failed', 'Send failed'],
  ['tls_failed', 502, 'send_failed', 'ssl_tunnel_error', 'Send failed'],
  ['noslaves', 503, 'noslaves', 'noslaves', 'No available proxies'],
  ['slavebanned', 503, 'slavebanned', 'banned', 'Website crawl ban'],
  ['serverbusy', 503, 'serverbusy', 'serverbusy', 'Server busy: too many outstanding requests'],
  ['timeout', 504, 'timeout', 'timeout', 'Timeout from upstream server'],
  ['msgtimeout', 504, 'msgtimeout', 'msgtimeout', 'Timeout processing HTTP stream'],
  ['domain_forbidden', 523, 'domain_forbidden', 'domain_forbidden', 'Domain forbidden. Please contact <>'],
  ['bad_header', 540, 'bad_header', 'bad_header', 'Bad header value for <>'],
  ['bad_uri', 400, 'bad_uri', 'bad_uri', 'Bad URI'],
  ['data_error', 541, 'data_error', 'data_error', 'Response size is too big'],
];

describe('wire errors', () => {
  it.each(CONTRACT)('E-03 %s has its status, codes and message', (condition, status, crawlera, spm, message) => {
    const row = wireError(condition);
    expect([row.status, row.code.crawlera, row.code.spm, row.message]).toEqual([status, crawlera, spm, message]);
  });

  it('E-04 the further conditions use documented codes', () => {
    const of = (condition: Condition): [number, string] => [
      wireError(condition).status,
      wireError(condition).code.crawlera,
    ];
    expect(of('invalid_request')).toEqual([400, 'invalid_request']);
    expect(of('bad_endpoint')).toEqual([404, 'bad_endpoint']);
    expect(of('bad_method')).toEqual([405, 'invalid_request']);
    expect(of('headers_too_large')).toEqual([413, 'invalid_request']);
    expect(of('ehostunreach')).toEqual([502, 'ehostunreach']);
  });

  it('E-02 every message is one short ASCII line', () => {
    for (const { message } of Object.values(WIRE_ERRORS)) expect(message).toMatch(/^[\x20-\x7e]{0,150}$/);
  });

  it('E-08 only bans, noslaves and serverbusy carry Retry-After', () => {
    const named = (Object.keys(WIRE_ERRORS) as Condition[]).filter((condition) => wireError(condition).retryAfter);
    expect(named.sort()).toEqual(['noslaves', 'serverbusy', 'slavebanned']);
  });

  it('R-06 statuses unknown to Node have the contract phrases', () => {
    expect(wireError('header_auth').phrase).toBe('Unauthorized Header');
    expect(wireError('domain_forbidden').phrase).toBe('Domain Forbidden');
    expect(wireError('bad_header').phrase).toBe('Bad Header Value');
    expect(wireError('data_error').phrase).toBe('Response Too Large');
  });
});

describe('errors that carry a condition', () => {
  it('a refusal keeps its detail and names its reason', () => {
    const refusal = new Refusal('bad_header', { subject: 'X-Crawlera-UA', reason: 'crawlera' });
    expect(refusal).toMatchObject({ name: 'Refusal', condition: 'bad_header', message: 'bad_header: crawlera' });
    expect(refusal.detail.subject).toBe('X-Crawlera-UA');
    expect(new Refusal('bad_uri')).toMatchObject({ message: 'bad_uri', detail: {} });
  });

  it('A-05 a fault without detail had sent nothing, read nothing and blames no upstream', () => {
    expect(new Fault('econnreset')).toMatchObject({
      name: 'Fault',
      message: 'econnreset',
      upstreamFailed: false,
      sent: 'nothing',
      headRead: false,
      reason: undefined,
    });
  });

  it('a fault keeps what is known of it', () => {
    const cause = new Error('deep');
    const fault = new Fault('noslaves', { upstreamFailed: true, sent: 'some', headRead: true, reason: 'login', cause });
    expect(fault).toMatchObject({
      upstreamFailed: true,
      sent: 'some',
      headRead: true,
      message: 'noslaves: login',
      cause,
    });
  });

  it('T-19 a client that left needs no condition', () => {
    expect(new Gone()).toMatchObject({ name: 'Gone', message: 'client left' });
    expect(new Gone('reset').message).toBe('reset');
  });
});

describe('other times of the service', () => {
  const rows = Object.values(WIRE_ERRORS);

  it.each([
    'Bad session ID',
    'Incorrect authentication data',
    'Parallel connections limit has been reached',
    'All download attempts failed. Please retry.',
  ])('E-05 does not borrow their wording: %s', (wording) => {
    expect(rows.map(({ message }) => message)).not.toContain(wording);
  });

  it.each(['user_suspended', 'client_conn_closed', 'connect_timeout'])('E-05 never emits %s', (code) => {
    expect(rows.flatMap((row) => Object.values(row.code))).not.toContain(code);
  });
});
