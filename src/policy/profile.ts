/** Which browser a request passes for, and the headers that say so (section 11, S-21). */
import { type Agent, type AgentList, type Browser, readUserAgent } from '../model/agents.ts';
import type { Controls } from '../model/controls.ts';
import type { HeaderList } from '../model/headers.ts';
import { dressHandshake } from './dress-handshake.ts';
import { dressPage, type Page } from './dress-page.ts';

export type Choice = Pick<Controls, 'ua' | 'profile' | 'profilePass'>;

export interface Dressed {
  readonly headers: string[];
  /** The `User-Agent` that goes out, for `X-Crawlera-Debug-UA`. */
  readonly agent: string | undefined;
  /** The headers hold a framing line that the client had not sent. */
  readonly framed: boolean;
}

/** Spreads seeds evenly over [0, 1), the same on every node (splitmix-style mixing of 32 bits). */
const unitOf = (seed: number): number => {
  let x = Math.trunc(seed % 2 ** 32) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
};

/**
 * An agent by weight. `point` is a random number in [0, 1), or a session's seed of any other size, which picks the same
 * agent each time (S-21).
 */
export const pickAgent = (list: AgentList, point: number): Agent => {
  const { agents, ends } = list;
  const sum = ends[ends.length - 1] as number;
  const place = (point >= 0 && point < 1 ? point : unitOf(point)) * sum;
  let low = 0;
  let high = agents.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place < (ends[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return agents[low] as Agent;
};

const USER_AGENT = 'user-agent';
const GET_OVER_TLS: Page = { method: 'GET', secure: true };

const isHint = (lowerName: string): boolean => lowerName.startsWith('sec-ch-ua');

/** Length and first letter rule out nearly every name before it is lower-cased. */
const isUserAgent = (name: string): boolean => name.length === 10 && name.toLowerCase() === USER_AGENT;

const mayBeHint = (name: string): boolean => name.length >= 9 && (name.charCodeAt(0) | 0x20) === 0x73;

/** G-01: `User-Agent` in place of the client's, or appended; hints that would contradict it go. */
const replaceAgent = (headers: HeaderList, userAgent: string): string[] => {
  const out: string[] = [];
  let written = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (isUserAgent(name)) {
      if (!written) out.push(name, userAgent);
      written = true;
    } else if (!mayBeHint(name) || !isHint(name.toLowerCase())) out.push(name, headers[i + 1] as string);
  }
  if (!written) out.push('User-Agent', userAgent);
  return out;
};

const agentIn = (headers: HeaderList): string | undefined => {
  for (let i = 0; i + 1 < headers.length; i += 2) if (isUserAgent(headers[i] as string)) return headers[i + 1];
  return undefined;
};

/** H-24: with the client's own user agent everything else is that browser's; one not known gets no hints. */
const browserFor = (headers: HeaderList, agent: Agent, pass: readonly string[]): Browser => {
  const own = pass.includes(USER_AGENT) ? agentIn(headers) : undefined;
  if (own === undefined) return agent;
  return readUserAgent(own) ?? { ...agent, userAgent: own, major: 0 };
};

/** Headers in the chosen browser's dress. Without an agent (`pass`, G-02, G-04) they stay as they are. */
export const dressUserAgent = (
  headers: HeaderList,
  choice: Choice,
  agent: Agent | undefined,
  page: Page = GET_OVER_TLS,
): Dressed => {
  const mode = choice.profile ?? choice.ua;
  if (mode === 'pass' || !agent) return { headers: [...headers], agent: agentIn(headers), framed: false };
  const { userAgent } = agent;
  if (choice.profile === undefined)
    return { headers: replaceAgent(headers, userAgent), agent: userAgent, framed: false };
  const browser = browserFor(headers, agent, choice.profilePass);
  const dressed = page.webSocket
    ? dressHandshake(headers, browser, choice.profilePass)
    : dressPage(headers, browser, choice.profilePass, page);
  return { ...dressed, agent: browser.userAgent };
};
