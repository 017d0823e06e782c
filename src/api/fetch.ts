/** `/fetch`: a page without a proxy setting, run by the same exchange as any proxied request (section 12). */
import { Refusal } from '../model/errors.ts';
import type { HeaderList } from '../model/headers.ts';
import type { Job, Target } from '../model/job.ts';
import type { Authenticated } from '../policy/authenticate.ts';
import { parseFetchQuery } from '../policy/fetch-query.ts';
import { forwardedHeaders } from '../policy/forward.ts';
import { makeTarget, parseAbsolute } from '../policy/route.ts';
import type { Call, Route } from './router.ts';

/** What a `/fetch` call asks for. */
export interface FetchOrder {
  readonly method: string;
  readonly target: Target;
  readonly path: string;
  /** Read for controls: those of the call first, then those of `headers=`, which win. */
  readonly headers: HeaderList;
  readonly forwarded: HeaderList;
}

interface Ports {
  /** Reads controls and judges the target. Throws `Refusal` like any proxied request. */
  makeJob(order: FetchOrder, known: Authenticated, id: string): Job;
}

const readOrder = (call: Call): FetchOrder => {
  const query = parseFetchQuery(call.query);
  if (!query) throw new Refusal('bad_uri', { reason: 'no usable url' });
  const url = parseAbsolute(query.url);
  if (url === undefined || url === 'bad_scheme') throw new Refusal('bad_uri', { reason: 'unusable url' });
  const target = makeTarget(url.scheme, url.host, url.port);
  const asked = query.headers.flat();
  return {
    method: call.method,
    target,
    path: url.path,
    headers: [...call.headers, ...asked],
    forwarded: forwardedHeaders(asked, target.authority).headers,
  };
};

export const fetchRoutes = ({ makeJob }: Ports): readonly Route[] => [
  {
    path: /^\/fetch\/?$/,
    open: false,
    methods: { GET: (call: Call, known: Authenticated) => makeJob(readOrder(call), known, call.id) },
  },
];
