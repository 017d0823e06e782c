/** Control headers: one row each, and the `Controls` a request ends up with. */

/** What the client asked for, after request, CONNECT, account defaults and built-in defaults were folded (H-06). */
export interface Controls {
  readonly ua: 'desktop' | 'mobile' | 'pass';
  /** Wins over `ua` when present (H-14). */
  readonly profile: 'desktop' | 'mobile' | 'pass' | undefined;
  /** Lower-case header names whose client value survives the profile (H-24). */
  readonly profilePass: readonly string[];
  readonly noBancheck: boolean;
  readonly cookies: 'enable' | 'disable' | 'discard';
  /** `create`, or an id exactly as sent; `undefined` = no session. */
  readonly session: string | undefined;
  /** At most 256 characters, no control characters (B02). */
  readonly jobId: string | undefined;
  /** 0..5; `undefined` when not sent: 5 without a session, 0 inside one (S-17). */
  readonly maxRetries: number | undefined;
  /** Already clamped (H-16). */
  readonly timeoutMs: number;
  readonly debugRequestTime: boolean;
  readonly debugUa: boolean;
  readonly debugAttempts: boolean;
  readonly useHttps: boolean;
  /** Lower-case ISO 3166 code. */
  readonly region: string | undefined;
  readonly client: string | undefined;
}
