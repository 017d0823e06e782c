import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Condition, Fault, type FaultDetail, WIRE_ERRORS } from '../../src/model/errors.ts';
import { type Failure, lastWordOf, nextStep, type Situation, type Step } from '../../src/policy/retry.ts';

const BAN: Failure = { kind: 'ban', rule: 'status-429' };
const fault = (condition: Condition, detail: FaultDetail = {}): Failure => ({
  kind: 'fault',
  fault: new Fault(condition, detail),
});

const step = (outcome: Failure, rest: Partial<Situation> = {}): Step =>
  nextStep({ outcome, method: 'GET', replayable: true, attempts: 1, maxRetries: 5, inSession: false, ...rest });

const again = (outcome: Failure, rest: Partial<Situation> = {}): boolean => step(outcome, rest).again;

const told = (outcome: Failure, rest: Partial<Situation> = {}): Condition | undefined => {
  const result = step(outcome, { maxRetries: 0, ...rest });
  return result.again ? undefined : result.condition;
};

describe('what is tried again', () => {
  it('A-01 A-02 a ban, on a slave not yet used', () => {
    expect(step(BAN)).toEqual({ again: true, repeat: false });
  });

  it.each([
    'econnrefused',
    'econnreset',
    'ehostunreach',
    'socket_closed_remotely',
    'send_failed',
    'tls_failed',
  ] as const)('A-01 A-02 %s, on a used slave if no other is left', (condition) => {
    expect(step(fault(condition))).toEqual({ again: true, repeat: true });
  });

  it.each(['noslaves', 'timeout', 'nxdomain', 'econnrefused'] as const)(
    'A-04 a failed slave, even with %s',
    (condition) => {
      expect(step(fault(condition, { upstreamFailed: true }))).toEqual({ again: true, repeat: true });
    },
  );

  it('A-02 nxdomain only when it was another resolver than ours', () => {
    expect(again(fault('nxdomain'))).toBe(false);
    expect(again(fault('nxdomain'), { resolvedElsewhere: true })).toBe(true);
  });

  it('A-02 no other condition there is', () => {
    const tried: readonly string[] = [
      'econnrefused',
      'econnreset',
      'ehostunreach',
      'socket_closed_remotely',
      'send_failed',
      'tls_failed',
    ];
    for (const condition of Object.keys(WIRE_ERRORS) as Condition[]) {
      expect(again(fault(condition)), condition).toBe(tried.includes(condition));
    }
  });

  it('A-02 nothing once a response had begun', () => {
    expect(step(fault('econnreset', { headRead: true, sent: 'all' }))).toMatchObject({
      again: false,
      because: 'response had begun',
    });
  });

  it('H-17 n retries are n+1 attempts', () => {
    const attempts = (maxRetries: number): number => {
      let made = 1;
      while (again(BAN, { attempts: made, maxRetries })) made++;
      return made;
    };
    expect([0, 1, 5].map(attempts)).toEqual([1, 2, 6]);
  });

  it.each([
    ['GET', 'all', true],
    ['HEAD', 'all', true],
    ['OPTIONS', 'all', true],
    ['PUT', 'all', true],
    ['DELETE', 'all', true],
    ['POST', 'nothing', true],
    ['POST', 'some', true],
    ['POST', 'all', false],
    ['PATCH', 'some', true],
    ['PATCH', 'all', false],
    ['PROPFIND', 'all', false],
  ] as const)('A-05 robustness H07 %s of which %s had been handed over: %s', (method, sent, expected) => {
    expect(again(fault('econnreset', { sent }), { method })).toBe(expected);
  });

  it('A-05 robustness H07 a POST is repeated after a ban', () => {
    expect(again(BAN, { method: 'POST' })).toBe(true);
  });

  it('A-05 a body that is not kept is never sent again', () => {
    for (const outcome of [BAN, fault('econnrefused'), fault('noslaves', { upstreamFailed: true })]) {
      expect(step(outcome, { replayable: false })).toMatchObject({
        again: false,
        because: 'body cannot be sent again',
      });
    }
  });

  it('S-14 in a session a ban ends it, whatever the retries', () => {
    expect(step(BAN, { inSession: true })).toEqual({
      again: false,
      condition: 'slavebanned',
      because: 'banned inside a session',
    });
  });

  it('S-17 in a session a connection failure repeats as often as asked', () => {
    expect(again(fault('econnrefused'), { inSession: true, maxRetries: 0 })).toBe(false);
    expect(again(fault('econnrefused'), { inSession: true, maxRetries: 2, attempts: 2 })).toBe(true);
    expect(again(fault('econnrefused'), { inSession: true, maxRetries: 2, attempts: 3 })).toBe(false);
  });
});

describe('what is told at the end', () => {
  it('A-03 the last failure', () => {
    expect(told(fault('econnreset'))).toBe('econnreset');
    expect(told(fault('timeout'), { maxRetries: 5 })).toBe('timeout');
    expect(told(fault('domain_forbidden'), { maxRetries: 5 })).toBe('domain_forbidden');
  });

  it('A-03 slavebanned if any attempt was a ban', () => {
    expect(told(BAN)).toBe('slavebanned');
    expect(told(fault('econnreset'), { bannedBefore: true })).toBe('slavebanned');
    expect(told(fault('noslaves', { upstreamFailed: true }), { bannedBefore: true })).toBe('slavebanned');
  });

  it('A-04 noslaves if slaves alone failed, else what the target did', () => {
    const failed = fault('timeout', { upstreamFailed: true });
    expect(told(failed)).toBe('noslaves');
    expect(told(failed, { targetFault: 'econnreset' })).toBe('econnreset');
    expect(told(fault('econnrefused'), { targetFault: 'econnreset' })).toBe('econnrefused');
  });

  it('A-03 the same is told when no slave is left to try', () => {
    const left = { method: 'GET', replayable: true, attempts: 1, maxRetries: 5, inSession: false };
    expect(lastWordOf({ ...left, outcome: BAN })).toBe('slavebanned');
    expect(lastWordOf({ ...left, outcome: fault('econnrefused') })).toBe('econnrefused');
    expect(lastWordOf({ ...left, outcome: fault('noslaves', { upstreamFailed: true }) })).toBe('noslaves');
  });

  it('every situation ends within the allowed attempts', () => {
    const condition = fc.constantFrom(...(Object.keys(WIRE_ERRORS) as Condition[]));
    const detail = fc.record({
      upstreamFailed: fc.boolean(),
      headRead: fc.boolean(),
      sent: fc.constantFrom('nothing', 'some', 'all'),
    });
    const outcome = fc.oneof(
      fc.constant(BAN),
      fc.tuple(condition, detail).map(([name, rest]) => fault(name, rest as FaultDetail)),
    );
    const method = fc.constantFrom('GET', 'POST', 'BREW');
    fc.assert(
      fc.property(
        outcome,
        method,
        fc.boolean(),
        fc.boolean(),
        fc.nat(8),
        fc.nat(5),
        (failed, verb, kept, inSession, made, most) => {
          const result = step(failed, {
            method: verb,
            replayable: kept,
            inSession,
            attempts: made + 1,
            maxRetries: most,
          });
          if (!result.again) return;
          expect(made + 1).toBeLessThanOrEqual(most);
          expect(kept).toBe(true);
          expect(result.repeat).toBe(failed.kind === 'fault');
        },
      ),
    );
  });
});
