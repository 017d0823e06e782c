/** `/sessions`: sessions made, listed and ended without a proxied request (S-04 to S-10). */
import { Refusal } from '../model/errors.ts';
import type { Account, Upstream } from '../model/job.ts';
import type { SessionBook } from '../pipeline/ports.ts';
import type { Authenticated } from '../policy/authenticate.ts';
import type { Call, Route } from './router.ts';

interface Ports {
  readonly sessions: SessionBook;
  /** `X-Crawlera-Slave` form of an upstream without a connection at hand. */
  slaveOf(upstream: Upstream): string;
  /** Region of the call: its header, or nothing. Throws `Refusal` for an unusable value (H-22). */
  regionOf(headers: readonly string[], account: Account): string | undefined;
}

/** Of an id that is none, this much is named in the answer (S-09). */
const MOST_ECHOED = 256;

const text = (body: string, more: readonly string[] = []) => ({
  status: 200,
  reason: 'OK',
  headers: ['Content-Type', 'text/plain', ...more],
  body,
});

export const sessionRoutes = ({ sessions, slaveOf, regionOf }: Ports): readonly Route[] => {
  const create = async (call: Call, { account }: Authenticated) => {
    const { id } = await sessions.open(account.id, account.maxSessions, regionOf(call.headers, account));
    // The bare id without a newline: programs use the body as a header value as it is (S-04).
    return text(id, ['X-Crawlera-Session', id]);
  };

  const list = async (_call: Call, { account }: Authenticated) => {
    const live = await sessions.list(account.id);
    const body = JSON.stringify(Object.fromEntries(live.map(({ id, upstream }) => [id, slaveOf(upstream)])));
    return { status: 200, reason: 'OK', headers: ['Content-Type', 'application/json'], body };
  };

  const remove = async (call: Call, { account }: Authenticated) => {
    const closed = await sessions.close(account.id, call.name);
    if (!closed) throw new Refusal('bad_session_id', { session: call.name.slice(0, MOST_ECHOED) });
    return { status: 204, reason: 'No Content', headers: [], body: '' };
  };

  return [
    { path: /^\/sessions\/?$/, open: false, methods: { GET: list, POST: create } },
    { path: /^\/sessions\/([^/]+)$/, open: false, methods: { DELETE: remove } },
  ];
};
