/** Building the store's answers. */
import type { Condition } from '../model/errors.ts';
import type { Upstream } from '../model/job.ts';
import type { Granted, Refused, Waiting } from '../pipeline/store-port.ts';

export const refused = (
  condition: Condition,
  session: string | undefined,
  retryAfterMs: number | undefined,
  nextRequestInMs?: number,
): Refused => ({ kind: 'refused', condition, session, retryAfterMs, nextRequestInMs });

export const granted = (upstream: Upstream, session: string | undefined, making: boolean): Granted => ({
  kind: 'go',
  upstream,
  session,
  making,
});

export const waiting = (delayMs: number, askInMs: number, waitsFor: string, session: string | undefined): Waiting => ({
  kind: 'wait',
  delayMs,
  askInMs,
  waitsFor,
  session,
});
