/** Counters and gauges for Prometheus. Home of prom-client. */
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Ledger, Receipt } from '../pipeline/ports.ts';

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

/** A counter by one label whose children are looked up once a value. */
const byLabel = (counter: Counter<string>, label: string): ((value: string) => void) => {
  const children = new Map<string, ReturnType<typeof counter.labels>>();
  return (value) => {
    let child = children.get(value);
    if (!child) {
      const shown = children.size < MOST_VALUES ? value : 'other';
      child = counter.labels({ [label]: shown });
      if (children.size < MOST_VALUES) children.set(value, child);
    }
    child.inc();
  };
};

/** `shared`: this is a worker, and the primary reads its numbers. */
export const makeMetrics = (shared = false): Metrics => {
  const registry = new Registry();
  if (shared) {
    AggregatorRegistry.setRegistries([registry]);
    // Its constructor is what begins to listen for the primary's question.
    new AggregatorRegistry();
  }
  collectDefaultMetrics({ register: registry, prefix: `${NAME}_` });
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter<string> =>
    new Counter({ name: `${NAME}_${name}`, help, labelNames, registers: [registry] });
  const histogram = (name: string, help: string): Histogram<string> =>
    new Histogram({ name: `${NAME}_${name}`, help, buckets: BUCKETS, registers: [registry] });

  const requests = byLabel(
    counter('requests_total', 'Finished requests by outcome: ok, gone, cut, or the refusal', ['outcome']),
    'outcome',
  );
  const attempts = byLabel(
    counter('attempts_total', 'Attempts by outcome: fine, the ban rule that fired, or the failure', ['outcome']),
    'outcome',
  );
  const bans = counter('bans_total', 'Attempts that a ban rule ended');
  const bytes = counter('response_bytes_total', 'Body bytes sent to clients');
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
    bytes.inc(receipt.bytes);
    took.observe(receipt.tookMs / 1000);
    if (receipt.attempts.length > 0) waited.observe(receipt.waitedMs / 1000);
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
