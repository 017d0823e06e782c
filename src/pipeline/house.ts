/** What one running proxy is made of, as the pipeline sees it. */
import type { Agents } from '../model/agents.ts';
import type { BanRules } from '../policy/ban.ts';
import type { Clock, CookieStore, Gate, Ledger, Random, Transport } from './ports.ts';

/** Settings of one website, overrides already folded over the defaults. */
export interface WebsiteSettings {
  readonly siteDelayMs: number;
  readonly slaveDelayMs: number;
  readonly insecureTarget: boolean;
  readonly forbidden: boolean;
}

/** The part of the configuration that requests read; replaced as a whole on reload. */
export interface Rulebook {
  website(host: string): WebsiteSettings;
  readonly softLimitMs: number;
  readonly maxRetries: number;
  /** `Infinity` = unlimited. */
  readonly maxResponseBytes: number;
  readonly operatorContact: string;
  readonly bans: BanRules;
  readonly agents: Agents;
}

export interface House {
  readonly gate: Gate;
  readonly cookies: CookieStore;
  readonly transport: Transport;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  /** Value of `X-Crawlera-Version`. */
  readonly version: string;
  rules(): Rulebook;
}
