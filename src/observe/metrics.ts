/** Counters and gauges for Prometheus. Home of prom-client. */
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import type { Ledger, Receipt } from '../pipeline/ports.ts';
import { makeHistogram, makeTallies } from './tally.ts';

export interface Metrics {
  /** Counts every finished request; hands it on to no one. */
  readonly ledger: Ledger;
  banStorm(): void;
  upstreamDown(): void;
  /** The store is away, or is back; may be told again. */
  storeTrouble(away: boolean): void;
  /** Read whenever the numbers are asked for. */
  watch(load: () => { readonly outstanding: number; readonly waiting: number }): void;
  text(): Promise<string>;
}

const NAME = 'crawlgate';
/** Seconds; a request through a busy website may be held for long. */
const BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600];
/** Label values come from tables and rule files; beyond this many they are counted together. */
const MOST_VALUES = 500;

/** `shared`: this is a worker, and the primary reads its numbers. */
export const makeMetrics = (shared = false): Metrics => {
  const registry = new Registry();
  if (shared) {
    AggregatorRegistry.setRegistries([registry]);
    // Its constructor is what begins to listen for the primary's question.
    new AggregatorRegistry();
  }
  collectDefaultMetrics({ register: registry, prefix: `${NAME}_` });
  const counter = (name: string, help: string): Counter<string> =>
    new Counter({ name: `${NAME}_${name}`, help, registers: [registry] });
  const countedBy = (label: string, name: string, help: string): ((value: string) => void) => {
    const tallies = makeTallies(MOST_VALUES);
    new Counter({
      name: `${NAME}_${name}`,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        tallies.take((value, count) => this.inc({ [label]: value }, count));
      },
    });
    return tallies.add;
  };
  const histogram = (ending: string, help: string): ((value: number) => void) => {
    const name = `${NAME}_${ending}`;
    const { observe, bars } = makeHistogram(name, BUCKETS);
    const read = async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: bars() });
    // What the registry asks of a metric is these two.
    registry.registerMetric({ name, get: read } as unknown as Metric<string>);
    return observe;
  };

  const requests = countedBy(
    'outcome',
    'requests_total',
    'Finished requests by outcome: ok, gone, cut, or the refusal',
  );
  const attempts = countedBy(
    'outcome',
    'attempts_total',
    'Attempts by outcome: fine, the ban rule that fired, or the failure',
  );
  const bans = counter('bans_total', 'Attempts that a ban rule ended');
  let bytes = 0;
  new Counter({
    name: `${NAME}_response_bytes_total`,
    help: 'Body bytes sent to clients',
    registers: [registry],
    collect() {
      this.inc(bytes);
      bytes = 0;
    },
  });
  const took = histogram('request_seconds', 'From the request head to the end of the answer');
  const waited = histogram('wait_seconds', 'Held by pacing, of requests that had an attempt');
  const bugs = counter('bugs_total', 'Unexpected errors');
  const storms = counter('ban_storms_total', 'Rules that banned too much at once and were not obeyed for a while');
  const downs = counter('upstream_downs_total', 'Upstreams marked down');
  const losses = counter('store_losses_total', 'Times the store went away');
  const storeUp = new Gauge({ name: `${NAME}_store_up`, help: '1 while the store answers', registers: [registry] });
  storeUp.set(1);
  let storeAway = false;

  const finished = (receipt: Receipt): void => {
    requests(receipt.outcome);
    bytes += receipt.bytes;
    took(receipt.tookMs / 1000);
    if (receipt.attempts.length > 0) waited(receipt.waitedMs / 1000);
    for (const { outcome, status } of receipt.attempts) {
      attempts(outcome);
      if (outcome !== 'fine' && status !== undefined) bans.inc();
    }
  };

  return {
    ledger: { finished, bug: () => bugs.inc() },
    banStorm: () => storms.inc(),
    upstreamDown: () => downs.inc(),
    storeTrouble(away) {
      if (away && !storeAway) losses.inc();
      storeAway = away;
      storeUp.set(away ? 0 : 1);
    },
    watch(load) {
      const gauge = (name: string, help: string, read: () => number): Gauge<string> =>
        new Gauge({
          name: `${NAME}_${name}`,
          help,
          registers: [registry],
          collect() {
            this.set(read());
          },
        });
      gauge('outstanding', 'Requests inside, held ones included', () => load().outstanding);
      gauge('waiting', 'Requests held by pacing', () => load().waiting);
    },
    text: () => registry.metrics(),
  };
};

/** The numbers of all workers together, read in the primary. */
export const makeGatheredMetrics = (): { text(): Promise<string> } => {
  const gathered = new AggregatorRegistry();
  return { text: () => gathered.clusterMetrics() };
};

/** Both ledgers are told of everything. */
export const bothLedgers = (one: Ledger, other: Ledger): Ledger => ({
  finished(receipt) {
    one.finished(receipt);
    other.finished(receipt);
  },
  bug(error, where) {
    one.bug(error, where);
    other.bug(error, where);
  },
});
