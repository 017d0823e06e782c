/** The direct endpoints of the proxy port, as a table: path, methods, whether a key is needed. */
import { Refusal } from '../model/errors.ts';
import type { HeaderList } from '../model/headers.ts';
import type { Job } from '../model/job.ts';
import type { EndpointAnswer, Endpoints, Soon } from '../pipeline/ports.ts';
import type { Authenticated } from '../policy/authenticate.ts';

/** One call of an endpoint. */
export interface Call {
  readonly method: string;
  /** Without `?`; empty when there is none. */
  readonly query: string;
  readonly headers: HeaderList;
  /** What the path pattern's group matched. */
  readonly name: string;
  /** Id of the request, for a job made from it. */
  readonly id: string;
}

type Methods<H> = Readonly<Record<string, H>>;

export type Route =
  | { readonly path: RegExp; readonly open: true; readonly methods: Methods<(call: Call) => EndpointAnswer> }
  | {
      readonly path: RegExp;
      readonly open: false;
      readonly methods: Methods<(call: Call, known: Authenticated) => Soon<EndpointAnswer | Job>>;
    };

/** HEAD is served wherever GET is; anything else unknown is 405 with `Allow` (S-07, Q-06). */
const pick = <H>(methods: Methods<H>, method: string): H => {
  const found = methods[method] ?? (method === 'HEAD' ? methods['GET'] : undefined);
  if (found) return found;
  const known = Object.keys(methods);
  const allow = known.includes('GET') ? [...known, 'HEAD'] : known;
  throw new Refusal('bad_method', { allow: allow.sort().join(', '), reason: 'method of an endpoint' });
};

export const makeEndpoints = (routes: readonly Route[]): Endpoints => ({
  find(method, url, headers) {
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const query = mark < 0 ? '' : url.slice(mark + 1);
    for (const route of routes) {
      const found = route.path.exec(path);
      if (!found) continue;
      const call = { method, query, headers, name: found[1] ?? '' };
      return {
        open: route.open,
        run(known, id) {
          if (route.open) return pick(route.methods, method)({ ...call, id });
          if (!known) throw new Refusal('bad_auth');
          return pick(route.methods, method)({ ...call, id }, known);
        },
      };
    }
    return undefined;
  },
});
