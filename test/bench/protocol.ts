/** The messages between the runner and the processes it forks. */
import type { BodyName } from './payload.ts';

export type Scheme = 'http' | 'https';

/** What one round asks of the client. */
export interface LoadPlan {
  readonly scheme: Scheme;
  readonly body: BodyName;
  /** Every request over a new TCP (and TLS) connection. */
  readonly fresh: boolean;
  readonly connections: number;
  /** The proxy's port on 127.0.0.1; `undefined` = straight to the origin. */
  readonly proxyPort: number | undefined;
  readonly originPort: number;
  /** PEM of the authority that signs what the client is shown. */
  readonly ca: string | undefined;
  /** Value of Proxy-Authorization. */
  readonly credentials: string;
  /** Further header lines of every request, each with its CRLF. */
  readonly more?: string;
}

export type ToClient =
  | { readonly type: 'open'; readonly plan: LoadPlan; readonly warmMs: number }
  | { readonly type: 'run'; readonly ms: number; readonly maxRequests: number }
  | { readonly type: 'close' };

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type FromClient =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly why: string }
  | ({ readonly type: 'result' } & LoadResult);

export interface OriginPorts {
  readonly plain: number;
  readonly tls: number;
}

export const ORIGIN_HOST = 'localhost';
/** Names under this domain exist only behind the upstream proxy, and there all of them do. */
export const MANY_HOSTS = 'many.test';
export const BENCH_KEY = 'benchkey0000000000000000000000000';
export const CREDENTIALS = `Basic ${Buffer.from(`${BENCH_KEY}:`).toString('base64')}`;
