/** Whether a failed attempt is followed by another, and what the client is told when not (A-01 to A-05, S-14, S-17). */
import type { Condition, Fault } from '../model/errors.ts';

export type Failure =
  | { readonly kind: 'ban'; readonly rule: string }
  | { readonly kind: 'fault'; readonly fault: Fault };

export interface Situation {
  /** How the attempt just made failed. */
  readonly outcome: Failure;
  readonly method: string;
  /** No body, or one that is kept and can be sent again from its first byte. */
  readonly replayable: boolean;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
  readonly maxRetries: number;
  /** In a session that existed before this request; one made by it may still rotate (S-12). */
  readonly inSession: boolean;
  /** True when an upstream proxy looked the name up: another one may know it. Absent = our own resolver. */
  readonly resolvedElsewhere?: boolean;
  /** Whether an earlier attempt was a ban. */
  readonly bannedBefore?: boolean;
  /** What the last earlier attempt that was the target's failure ended with. */
  readonly targetFault?: Condition | undefined;
}

export type Step =
  /** `repeat`: an upstream already used will do when no other is left. */
  | { readonly again: true; readonly repeat: boolean }
  | { readonly again: false; readonly condition: Condition; readonly because: string };

/** May be sent twice whatever became of the first. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Failures of the connection, worth a try elsewhere. */
const CONNECTION_FAILURES: ReadonlySet<Condition> = new Set([
  'econnrefused',
  'econnreset',
  'ehostunreach',
  'socket_closed_remotely',
  'send_failed',
  'tls_failed',
]);

const faultOf = ({ outcome }: Situation): Fault | undefined => (outcome.kind === 'fault' ? outcome.fault : undefined);

const worthATry = (s: Situation, fault: Fault): boolean =>
  fault.upstreamFailed ||
  CONNECTION_FAILURES.has(fault.condition) ||
  (fault.condition === 'nxdomain' && s.resolvedElsewhere === true);

/** Why not to try again, the first that holds. */
const REASONS: readonly (readonly [because: string, holds: (s: Situation, fault: Fault | undefined) => boolean])[] = [
  ['retries used up', (s) => s.attempts > s.maxRetries],
  ['body cannot be sent again', (s) => !s.replayable],
  ['banned inside a session', (s, fault) => s.inSession && !fault],
  ['not a failure of the connection', (s, fault) => fault !== undefined && !worthATry(s, fault)],
  ['response had begun', (_, fault) => fault?.headRead === true],
  ['may have been carried out', (s, fault) => fault?.sent === 'all' && !REPEATABLE.has(s.method)],
];

/** A ban outranks every failure; failures of upstreams alone are no fault of the target. */
const lastWord = (s: Situation, fault: Fault | undefined): Condition => {
  if (!fault || s.bannedBefore) return 'slavebanned';
  return fault.upstreamFailed ? (s.targetFault ?? 'noslaves') : fault.condition;
};

/** What the client is told when no attempt follows, for whatever reason. */
export const lastWordOf = (situation: Situation): Condition => lastWord(situation, faultOf(situation));

export const nextStep = (situation: Situation): Step => {
  const fault = faultOf(situation);
  const reason = REASONS.find(([, holds]) => holds(situation, fault));
  if (!reason) return { again: true, repeat: fault !== undefined };
  return { again: false, condition: lastWord(situation, fault), because: reason[0] };
};
