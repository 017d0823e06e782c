/** A target's `Retry-After`, as milliseconds from now. */
import { type HeaderList, lastValue } from '../model/headers.ts';

/** 0 when absent, unreadable or past. Seconds and HTTP dates are both understood. */
export const retryAfterMs = (headers: HeaderList, nowMs: number): number => {
  const value = lastValue(headers, 'retry-after')?.trim();
  if (!value) return 0;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  // An unreadable date gives NaN, which is not above 0 either.
  return ms > 0 ? Math.ceil(ms) : 0;
};
