/** The situations that are measured, and the goals of docs/benchmarks.md. */
import type { BodyName } from './payload.ts';
import type { Scheme } from './protocol.ts';

export interface Case {
  readonly name: string;
  readonly title: string;
  readonly scheme: Scheme;
  readonly body: BodyName;
  readonly fresh: boolean;
  readonly connections: number;
  /** One connection, and the origin without a proxy beside it: latency is the figure. */
  readonly unloaded: boolean;
}

const CONNECTIONS = 32;
const busy = (name: string, title: string, scheme: Scheme, body: BodyName, fresh = false): Case => ({
  name,
  title,
  scheme,
  body,
  fresh,
  connections: CONNECTIONS,
  unloaded: false,
});
const quiet = (name: string, title: string, scheme: Scheme): Case => ({
  name,
  title,
  scheme,
  body: '1k',
  fresh: false,
  connections: 1,
  unloaded: true,
});

export const CASES: readonly Case[] = [
  busy('http', 'http, 1 KiB, keep-alive', 'http', '1k'),
  busy('https', 'https, 1 KiB, keep-alive', 'https', '1k'),
  busy('http-100k', 'http, 100 KiB, keep-alive', 'http', '100k'),
  busy('https-100k', 'https, 100 KiB, keep-alive', 'https', '100k'),
  busy('https-new', 'https, 1 KiB, new TLS connection a request', 'https', '1k', true),
  quiet('http-quiet', 'http, 1 KiB, one connection', 'http'),
  quiet('https-quiet', 'https, 1 KiB, one connection', 'https'),
];

export interface Goal {
  readonly peer: string;
  readonly caseName: string;
  readonly beside: string;
  /** CPU a request of `peer` over that of `beside`, at most. */
  readonly atMost: number;
}

const goal = (caseName: string, atMost: number, peer = 'crawlgate'): Goal => ({
  peer,
  caseName,
  beside: 'squid',
  atMost,
});

export const GOALS: readonly Goal[] = [
  goal('http', 1),
  goal('https', 1),
  goal('https-100k', 0.9),
  goal('https-new', 1),
  goal('https', 1.35, 'crawlgate-redis'),
];

/** Added latency over the origin without a proxy, unloaded: p50 and p99 in ms. */
export const ADDED_LATENCY = { peer: 'crawlgate', p50Ms: 1, p99Ms: 5 } as const;
