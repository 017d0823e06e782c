/** Accounts: plans, keys as hashes, and the control headers an account begins with. */
import { createHash } from 'node:crypto';
import type { Account, Plan } from '../model/job.ts';
import type { AccountEntry } from '../model/settings.ts';
import { fine, type Parsed, wrong } from './parsed.ts';

/** Requests in flight and live sessions of each plan (L-02, S-10). */
const PLANS: Readonly<Record<Plan, Pick<Account, 'maxConnections' | 'maxSessions'>>> = {
  c10: { maxConnections: 10, maxSessions: 100 },
  c50: { maxConnections: 50, maxSessions: 5000 },
  c100: { maxConnections: 100, maxSessions: 5000 },
  c200: { maxConnections: 200, maxSessions: 5000 },
  enterprise: { maxConnections: Number.POSITIVE_INFINITY, maxSessions: 5000 },
};

/** What an account is made from; `keySha256` in lower-case hex. */
export interface AccountTraits {
  readonly id: string;
  readonly keySha256: string;
  readonly plan?: Plan;
  readonly dialect?: Account['dialect'];
  readonly defaults?: readonly string[];
  readonly maxConnections?: number | undefined;
  readonly maxSessions?: number | undefined;
}

/** Lower-case hex of the SHA-256 of a key. */
export const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex');

/** An account with its plan resolved to numbers; without a plan it is `enterprise` (H-11). */
export const makeAccount = (traits: AccountTraits): AccountEntry => {
  const plan = traits.plan ?? 'enterprise';
  return {
    account: {
      id: traits.id,
      plan,
      dialect: traits.dialect ?? 'crawlera',
      defaults: traits.defaults ?? [],
      maxConnections: traits.maxConnections ?? PLANS[plan].maxConnections,
      maxSessions: traits.maxSessions ?? PLANS[plan].maxSessions,
    },
    keySha256: traits.keySha256,
  };
};

/** A key as a client can send it: the user name up to the first colon (U-01). */
export const parseKey = (value: unknown): Parsed<string> => {
  if (typeof value === 'number') return wrong('expected text: put the key in quotes');
  return typeof value === 'string' && /^[!-9;-~]{1,256}$/.test(value)
    ? fine(value)
    : wrong('expected a key of 1 to 256 printable ASCII characters without spaces and colons');
};

export const parseKeySha256 = (value: unknown): Parsed<string> =>
  typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)
    ? fine(value.toLowerCase())
    : wrong('expected the SHA-256 of a key as 64 hex digits');

const CONTROL_NAME = /^x-crawlera-[a-z0-9-]{1,40}$/;
const CONTROL_VALUE = /^[\t -~]{0,1000}$/;

/** A control header's value: text, a number or a flag, on one line. */
export const parseControlValue = (value: unknown): Parsed<string> =>
  ['string', 'number', 'boolean'].includes(typeof value) && CONTROL_VALUE.test(String(value))
    ? fine(String(value).trim())
    : wrong('the value of a control header must be one line of ASCII text');

/** `[name, message]` of those that are no control header or stand there twice in different capitals (H-01). */
export const controlNameProblems = (names: readonly string[]): [name: string, message: string][] => {
  const lower = names.map((name) => name.toLowerCase());
  return names.flatMap((name, i): [string, string][] => {
    if (!CONTROL_NAME.test(lower[i] as string)) return [[name, 'expected a control header such as X-Crawlera-Cookies']];
    return lower.indexOf(lower[i] as string) < i ? [[name, 'this control header stands here twice']] : [];
  });
};
