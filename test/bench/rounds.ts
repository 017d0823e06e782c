/** Runs the rounds: for each case peer after peer, and again, so that a slow minute of the machine meets all of them. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Case } from './cases.ts';
import { forkRole } from './children.ts';
import type { Started } from './peers/peer.ts';
import { type Usage, usageOf } from './proc.ts';
import {
  CREDENTIALS,
  type FromClient,
  type LoadPlan,
  type LoadResult,
  type OriginPorts,
  type ToClient,
} from './protocol.ts';
import { type Round, type Summary, summarize } from './stats.ts';

export interface Pace {
  readonly rounds: number;
  readonly runMs: number;
  readonly warmMs: number;
  readonly maxRequests: number;
  /** When no further round begins (as of `Date.now()`). */
  readonly until: number;
}

export interface Contender {
  readonly name: string;
  /** `undefined` = the origin without a proxy. */
  readonly started: Started | undefined;
  readonly oneShot: boolean;
  /** Header lines its requests have besides, each with its CRLF. */
  readonly more?: string;
}

const ANSWER_MS = 90_000;
/** Deferred work of the last request (its log line, its timers) belongs to the figure. */
const SETTLE_MS = 60;

const nextMessage = (child: ChildProcess): Promise<FromClient> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the load client does not answer')), ANSWER_MS);
    const done = (message: FromClient): void => {
      clearTimeout(timer);
      child.off('exit', left);
      resolve(message);
    };
    const left = (): void => {
      clearTimeout(timer);
      child.off('message', done as (message: unknown) => void);
      reject(new Error('the load client died'));
    };
    child.once('message', done as (message: unknown) => void);
    child.once('exit', left);
  });

const ask = (child: ChildProcess, message: ToClient): Promise<FromClient> => {
  const answer = nextMessage(child);
  child.send(message);
  return answer;
};

const NOTHING: Usage = { cpuUs: 0, residentBytes: 0 };
const usage = ({ started }: Contender): { own: Usage; beside: Usage } => ({
  own: started ? usageOf(started.running.pid) : NOTHING,
  beside: started?.beside ? usageOf(started.beside.pid) : NOTHING,
});

export interface Driver {
  round(which: Case, contender: Contender, pace: Pace): Promise<Round>;
  stop(): void;
}

export const createDriver = (origin: OriginPorts, originCa: string): Driver => {
  const client = forkRole('client.ts');
  const planFor = (which: Case, { started, oneShot, more }: Contender): LoadPlan => ({
    scheme: which.scheme,
    body: which.body,
    fresh: which.fresh || oneShot,
    connections: which.connections,
    proxyPort: started?.port,
    originPort: which.scheme === 'http' ? origin.plain : origin.tls,
    ca: started ? started.ca : originCa,
    credentials: CREDENTIALS,
    ...(more === undefined ? {} : { more }),
  });

  const load = async (plan: LoadPlan, pace: Pace, before: () => void): Promise<LoadResult> => {
    const opened = await ask(client, { type: 'open', plan, warmMs: pace.warmMs });
    if (opened.type !== 'ready') throw new Error(opened.type === 'failed' ? opened.why : 'out of step');
    before();
    const result = await ask(client, { type: 'run', ms: pace.runMs, maxRequests: pace.maxRequests });
    if (result.type !== 'result') throw new Error(result.type === 'failed' ? result.why : 'out of step');
    return result;
  };

  return {
    async round(which, contender, pace) {
      let before = { own: NOTHING, beside: NOTHING };
      const result = await load(planFor(which, contender), pace, () => {
        before = usage(contender);
      });
      await sleep(SETTLE_MS);
      const after = usage(contender);
      client.send({ type: 'close' } satisfies ToClient);
      const { requests, errors, firstError, elapsedMs, p50Ms, p99Ms } = result;
      const figures = { requests, errors, firstError, elapsedMs, p50Ms, p99Ms };
      const each = (from: Usage, to: Usage): number => (to.cpuUs - from.cpuUs) / Math.max(1, requests);
      return {
        ...figures,
        cpuUsPerRequest: each(before.own, after.own),
        besideUsPerRequest: each(before.beside, after.beside),
        residentBytes: after.own.residentBytes,
      };
    },
    stop: () => client.disconnect(),
  };
};

/** All rounds of one case. A peer that fails is reported with its error and left out of further rounds of the case. */
export const measure = async (
  driver: Driver,
  which: Case,
  contenders: readonly Contender[],
  pace: Pace,
): Promise<Summary[]> => {
  const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
  const failures = new Map<string, string>();
  for (let round = 0; round < pace.rounds; round++) {
    for (const contender of contenders) {
      if (failures.has(contender.name) || (round > 0 && Date.now() > pace.until)) continue;
      try {
        rounds.get(contender.name)?.push(await driver.round(which, contender, pace));
      } catch (error) {
        failures.set(contender.name, error instanceof Error ? error.message : String(error));
      }
    }
  }
  return contenders.map(({ name }) => {
    const summary = summarize(which.name, name, rounds.get(name) ?? []);
    const failure = failures.get(name);
    return failure === undefined ? summary : { ...summary, errors: summary.errors + 1, firstError: failure };
  });
};
