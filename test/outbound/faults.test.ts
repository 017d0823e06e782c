/** Error codes and marks to faults, one row after the other. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../src/model/errors.ts';
import {
  ClosedEarly,
  proxyAnswerFault,
  targetFault,
  targetTlsFault,
  upstreamFault,
} from '../../src/outbound/faults.ts';

const failing = (code: string, syscall?: string): Error => Object.assign(new Error(code), { code, syscall });

describe('E-03 a failure of the target', () => {
  it.each([
    ['ECONNREFUSED', 'connect', 'econnrefused'],
    ['ECONNRESET', 'read', 'econnreset'],
    ['ECONNRESET', undefined, 'socket_closed_remotely'],
    ['EPIPE', 'write', 'send_failed'],
    ['ETIMEDOUT', 'connect', 'timeout'],
    ['EHOSTUNREACH', 'connect', 'ehostunreach'],
    ['ENETUNREACH', 'connect', 'ehostunreach'],
    ['ENOTFOUND', 'getaddrinfo', 'nxdomain'],
    ['EAI_AGAIN', 'getaddrinfo', 'nxdomain'],
    ['EWHATEVER', 'read', 'send_failed'],
  ])('%s of %s is %s', (code, syscall, condition) => {
    expect(targetFault('step', failing(code, syscall))).toMatchObject({ condition, upstreamFailed: false });
  });

  it('inside its TLS handshake is about TLS unless the connection itself broke', () => {
    expect(targetTlsFault(failing('ERR_SSL_WRONG_VERSION_NUMBER')).condition).toBe('tls_failed');
    expect(targetTlsFault(failing('ECONNRESET', 'read')).condition).toBe('econnreset');
    expect(targetTlsFault(new ClosedEarly()).condition).toBe('socket_closed_remotely');
  });
});

describe('robustness G12: what this machine ran out of', () => {
  it.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])('marks nobody down: %s', (code) => {
    for (const explain of [targetFault, upstreamFault]) {
      expect(explain('TCP', failing(code, 'connect'))).toMatchObject({
        condition: 'serverbusy',
        upstreamFailed: false,
      });
    }
  });
});

describe('A-04 the marks of an upstream', () => {
  it.each([
    [503, ['X-Squid-Error', 'ERR_DNS_FAIL 0'], 'nxdomain', 'nothing'],
    [503, ['x-squid-error', 'ERR_CONNECT_FAIL 110'], 'econnrefused', 'nothing'],
    [500, ['X-Squid-Error', 'ERR_CANNOT_FORWARD 0'], 'ehostunreach', 'nothing'],
    [502, ['X-Squid-Error', 'ERR_READ_ERROR 104'], 'econnreset', 'all'],
    [502, ['X-Squid-Error', 'ERR_READ_ERROR 0'], 'ehostunreach', 'all'],
    [502, ['X-Squid-Error', 'ERR_ZERO_SIZE_OBJECT 0'], 'socket_closed_remotely', 'all'],
    [502, ['X-Squid-Error', 'ERR_OF_TOMORROW 0'], 'ehostunreach', 'all'],
    [502, ['Proxy-Status', 'a; error=dns_error; rcode="X"'], 'nxdomain', 'nothing'],
    [502, ['Proxy-Status', 'a;error="connection_refused"'], 'econnrefused', 'nothing'],
    [504, ['Proxy-Status', 'a; error=http_response_timeout'], 'timeout', 'all'],
  ] as const)('%i with %j is %s, request sent: %s', (status, headers, condition, sent) => {
    expect(proxyAnswerFault('request', status, headers)).toMatchObject({ condition, sent, upstreamFailed: false });
  });

  it.each([
    [503, ['Server', 'nginx']],
    [200, ['X-Squid-Error', 'ERR_DNS_FAIL 0']],
    [403, ['X-Squid-Error', 'ERR_ACCESS_DENIED 0']],
    [502, ['Proxy-Status', 'a; received-status=502']],
  ] as const)('%i with %j is the answer it looks like', (status, headers) => {
    expect(proxyAnswerFault('request', status, headers)).toBeUndefined();
  });

  it('407 is its own failure whatever else it says', () => {
    const fault = proxyAnswerFault('request', 407, ['X-Squid-Error', 'ERR_CACHE_ACCESS_DENIED 0']);
    expect(fault).toBeInstanceOf(Fault);
    expect(fault).toMatchObject({ condition: 'noslaves', upstreamFailed: true, sent: 'nothing' });
  });
});
