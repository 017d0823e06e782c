/** A house for one exchange: a fake clock, the memory store behind the real gate, a scripted transport and reply. */
import { expect } from 'vitest';
import { agentList } from '../../src/model/agents.ts';
import { readControls } from '../../src/model/controls.ts';
import type { Job } from '../../src/model/job.ts';
import { type AdmissionGate, makeGate } from '../../src/pipeline/admit.ts';
import type { RequestBody } from '../../src/pipeline/body.ts';
import { type Exchange, makeExchange } from '../../src/pipeline/exchange.ts';
import type { House, Rulebook } from '../../src/pipeline/house.ts';
import type { Ending, Receipt, Reply } from '../../src/pipeline/ports.ts';
import { makeStop, type StopButton } from '../../src/pipeline/stop.ts';
import type { BanRule } from '../../src/policy/ban-rule.ts';
import { makeTarget } from '../../src/policy/route.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { type FakeClock, makeFakeClock } from '../support/fake-clock.ts';
import { makeRandom, poolOf, STORE_SETTINGS, upstream } from '../support/store-house.ts';
import {
  type Attempted,
  makeRecordedReply,
  makeScriptedTransport,
  type Play,
  type Script,
  type SentAnswer,
} from './exchange-script.ts';

/** How one exchange went. */
export interface Outcome {
  /** `upstream:outcome` of each attempt, and the status answered. */
  readonly transcript: { readonly attempts: readonly string[]; readonly end: number | undefined };
  readonly receipt: Receipt;
  readonly answer: SentAnswer | undefined;
}

export interface Stage {
  readonly house: House;
  readonly clock: FakeClock;
  readonly gate: AdmissionGate;
  readonly attempted: readonly Attempted[];
  readonly receipts: readonly Receipt[];
  readonly bugs: readonly unknown[];
  readonly answers: readonly SentAnswer[];
  /** Endings given to `gate.leave`, one a call. */
  readonly left: readonly Ending[];
  /** Bodies of responses that nobody read to their end or gave up. */
  unclaimed(): number;
  readonly reply: Reply;
  run(job: Job, body?: RequestBody, stop?: StopButton): Promise<Outcome>;
}

const LIMITS = { responseMs: 30_000, responseMinMs: 30_000, responseMaxMs: 180_000, retries: 5 };

/** `headers`: the control headers of the request, flat. */
export const jobOf = (headers: readonly string[] = [], over: Partial<Job> = {}): Job => ({
  id: 'r-1',
  account: {
    id: 'demo',
    plan: 'enterprise',
    dialect: 'crawlera',
    defaults: [],
    maxConnections: Number.POSITIVE_INFINITY,
    maxSessions: 5_000,
  },
  method: 'GET',
  target: makeTarget('http', 'shop.localhost', 80),
  path: '/',
  headers: ['Host', 'shop.localhost'],
  framed: false,
  webSocket: false,
  controls: readControls({ request: headers, connect: undefined, defaults: [] }, 'enterprise', LIMITS),
  sessionName: undefined,
  servername: undefined,
  dialect: 'crawlera',
  startedAt: performance.now(),
  ...over,
});

const ruleFor = (status: number): BanRule => ({
  id: `status-${status}`,
  vendor: 'test',
  verdict: 'ban',
  enabled: true,
  domains: [],
  excludeDomains: [],
  when: {},
  source: [],
  tests: { match: [], noMatch: [] },
});

const AGENTS = agentList(
  [101, 102, 103, 104].map((major) => ({
    userAgent: `Mozilla/5.0 (X11; Linux x86_64; rv:${major}.0) Gecko/20100101 Firefox/${major}.0`,
    weight: 1,
    family: 'firefox',
    major,
    platform: 'Linux',
    mobile: false,
  })),
);

const RULES: Rulebook = {
  website: () => ({ siteDelayMs: 200, slaveDelayMs: 0, insecureTarget: false, forbidden: false }),
  softLimitMs: 120_000,
  maxRetries: 5,
  maxResponseBytes: 1_000,
  operatorContact: 'nobody',
  bans: { judge: (_asked, { status }) => ({ ban: status === 429 ? ruleFor(429) : undefined, suspect: undefined }) },
  agents: { desktop: AGENTS, mobile: AGENTS },
};

export interface StageOptions {
  /** Ids of the upstreams, in the order in which they serve. */
  readonly upstreams?: readonly string[];
  readonly plays: readonly Play[];
  readonly rules?: Partial<Rulebook>;
  readonly outstanding?: number;
  /** Something else in place of a part. */
  readonly parts?: (house: House) => Partial<House>;
  readonly reply?: (reply: Reply) => Partial<Reply>;
}

export const makeStage = (options: StageOptions): Stage => {
  const { upstreams = ['one', 'two', 'three'], plays, rules, outstanding = 100 } = options;
  const clock = makeFakeClock();
  const lots = makeRandom();
  let drawn = 0;
  const pool = poolOf(upstreams.map((id) => upstream(id)));
  const store = openMemoryStore({
    clock,
    // The first number drawn is where a website's order begins.
    random: () => (drawn++ === 0 ? 0 : lots()),
    pool: () => pool,
    settings: () => STORE_SETTINGS,
  });
  const gate = makeGate({ store, clock, settings: () => ({ maxHoldMs: 1_000_000, outstanding }) });
  const left: Ending[] = [];
  const receipts: Receipt[] = [];
  const bugs: unknown[] = [];
  const answers: SentAnswer[] = [];
  const script: Script = { plays, attempted: [], claims: { open: 0 } };
  const leave: AdmissionGate['leave'] = (ticket, ending) => {
    left.push(ending);
    gate.leave(ticket, ending);
  };
  const whole: House = {
    gate: { ...gate, leave },
    cookies: store.cookies,
    transport: makeScriptedTransport(script),
    ledger: { finished: (receipt) => receipts.push(receipt), bug: (error) => bugs.push(error) },
    clock,
    random: makeRandom(7),
    version: '9.8.7',
    rules: () => ({ ...RULES, ...rules }),
  };
  const house: House = { ...whole, ...options.parts?.(whole) };
  const recorded = makeRecordedReply(answers);
  const reply: Reply = { ...recorded, ...options.reply?.(recorded) };
  const exchange: Exchange = makeExchange(house);
  return {
    house,
    clock,
    gate,
    attempted: script.attempted,
    receipts,
    bugs,
    answers,
    left,
    unclaimed: () => script.claims.open,
    reply,
    async run(job, body, stop = makeStop()) {
      const before = receipts.length;
      const ended = exchange(job, body, reply, stop);
      while (receipts.length === before) await clock.advance(50);
      await ended;
      const receipt = receipts[before] as Receipt;
      const attempts = receipt.attempts.map((one) => `${one.upstream}:${one.outcome}`);
      return { transcript: { attempts, end: receipt.status }, receipt, answer: answers.at(-1) };
    },
  };
};

/** A header of the last answer. */
export const headerOf = (stage: Stage, name: string): string | undefined => {
  const headers = stage.answers.at(-1)?.head.headers ?? [];
  const at = headers.indexOf(name);
  return at < 0 ? undefined : headers[at + 1];
};

/** In every ending: one receipt, the seat given back once, one answer at most, no body forgotten. */
export const expectSettled = (stage: Stage, admitted = true): void => {
  expect(stage.receipts).toHaveLength(1);
  expect(stage.left).toHaveLength(admitted ? 1 : 0);
  expect(stage.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
  expect(stage.answers.length).toBeLessThanOrEqual(1);
  expect(stage.unclaimed()).toBe(0);
};
