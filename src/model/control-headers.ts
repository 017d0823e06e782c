/** The table of control headers: one row each, with reader, absent value, plan gate and twin (section 3 of the contract). */
import type { Controls } from './controls.ts';
import { listWords } from './headers.ts';
import type { Plan } from './job.ts';

/** Configured bounds of the values; times in milliseconds. One object a configuration: results are remembered by it. */
export interface ControlLimits {
  readonly responseMs: number;
  readonly responseMinMs: number;
  readonly responseMaxMs: number;
  readonly retries: number;
}

export interface ControlHeader {
  /** Canonical spelling. */
  readonly name: string;
  /** What a request without the header gets. */
  readonly absent: Partial<Controls>;
  /** Takes a trimmed value; `undefined` = unusable, 540. */
  readonly read: (value: string, limits: ControlLimits) => Partial<Controls> | undefined;
  /** Plans that may not use it (H-10). */
  readonly closedTo?: readonly Plan[];
  /** Honoured when the header itself is absent (H-08). */
  readonly twin?: string;
  /** Its presence counts, an empty value too (H-02). */
  readonly presence?: true;
}

const MAX_TEXT = 256;
/** H-17: what the service documents; a higher configured limit widens it. */
const DOCUMENTED_RETRIES = 5;
const CHEAP: readonly Plan[] = ['c10'];

const wordOf = <W extends string>(words: readonly W[], value: string): W | undefined => {
  const lower = value.toLowerCase();
  return words.find((word) => word === lower);
};

const AGENTS = ['pass', 'desktop', 'mobile'] as const;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/g;

/** Safe for a log: no control characters, at most 256 characters, no character cut in two (B02). */
const logText = (value: string): string | undefined => {
  const clean = value.replace(CONTROL_CHARACTERS, '').trim();
  const text = clean.length > MAX_TEXT ? [...clean].slice(0, MAX_TEXT).join('') : clean;
  return text === '' ? undefined : text;
};

const readTimeout = (value: string, limits: ControlLimits): Partial<Controls> | undefined => {
  if (!/^[+-]?\d+$/.test(value)) return undefined;
  return { timeoutMs: Math.min(Math.max(Number(value), limits.responseMinMs), limits.responseMaxMs) };
};

const readRetries = (value: string, limits: ControlLimits): Partial<Controls> | undefined => {
  if (!/^\d+$/.test(value)) return undefined;
  const count = Number(value);
  if (count > Math.max(DOCUMENTED_RETRIES, limits.retries)) return undefined;
  return { maxRetries: Math.min(count, limits.retries) };
};

const readDebug = (value: string): Partial<Controls> => {
  const words = listWords(value);
  return {
    debugRequestTime: words.includes('request-time'),
    debugUa: words.includes('ua'),
    debugAttempts: words.includes('attempts'),
  };
};

/** Every header the proxy obeys; all others that start alike are stripped and ignored (H-04, H-23, H-27, H-28). */
export const CONTROL_HEADERS: readonly ControlHeader[] = [
  {
    name: 'X-Crawlera-UA',
    absent: { ua: 'desktop' },
    read: (value) => {
      const ua = wordOf(AGENTS, value);
      return ua && { ua };
    },
    closedTo: CHEAP,
  },
  {
    name: 'X-Crawlera-Profile',
    absent: { profile: undefined },
    read: (value) => {
      const profile = wordOf(AGENTS, value);
      return profile && { profile };
    },
    closedTo: CHEAP,
    twin: 'Zyte-Device',
  },
  {
    name: 'X-Crawlera-Profile-Pass',
    absent: { profilePass: [] },
    read: (value) => ({ profilePass: listWords(value) }),
    closedTo: CHEAP,
    twin: 'Zyte-Override-Headers',
  },
  {
    name: 'X-Crawlera-No-Bancheck',
    absent: { noBancheck: false },
    read: () => ({ noBancheck: true }),
    closedTo: CHEAP,
    presence: true,
  },
  {
    name: 'X-Crawlera-Cookies',
    absent: { cookies: 'enable' },
    read: (value) => {
      const cookies = wordOf(['enable', 'disable', 'discard'] as const, value);
      return cookies && { cookies };
    },
  },
  {
    name: 'X-Crawlera-Session',
    absent: { session: undefined },
    // Anything else is an id; whether it is one of ours the session lookup decides (S-09).
    read: (value) => ({ session: value.toLowerCase() === 'create' ? 'create' : value }),
  },
  {
    name: 'X-Crawlera-JobId',
    absent: { jobId: undefined },
    read: (value) => ({ jobId: logText(value) }),
    twin: 'Zyte-JobId',
  },
  { name: 'X-Crawlera-Max-Retries', absent: { maxRetries: undefined }, read: readRetries },
  { name: 'X-Crawlera-Timeout', absent: { timeoutMs: 30_000 }, read: readTimeout },
  {
    name: 'X-Crawlera-Debug',
    absent: { debugRequestTime: false, debugUa: false, debugAttempts: false },
    read: readDebug,
  },
  {
    name: 'X-Crawlera-Use-Https',
    absent: { useHttps: false },
    read: (value) => (value === '1' || value === '0' ? { useHttps: value === '1' } : undefined),
  },
  {
    name: 'X-Crawlera-Region',
    absent: { region: undefined },
    read: (value) => (/^[A-Za-z]{2}$/.test(value) ? { region: value.toLowerCase() } : undefined),
    twin: 'Zyte-Geolocation',
  },
  {
    name: 'X-Crawlera-Client',
    absent: { client: undefined },
    read: (value) => ({ client: logText(value) }),
  },
];
