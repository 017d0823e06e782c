/** The `Transport` port: finds or opens a connection for each attempt and runs one exchange on it. */
import { Fault } from '../model/errors.ts';
import type { Settings } from '../model/settings.ts';
import type { Clock, Transport } from '../pipeline/ports.ts';
import { Connection, type ConnectionParts } from './connection.ts';
import type { Ticks } from './deadline.ts';
import { type JudgeAddress, makeDial } from './dial.ts';
import { Exchange, isRepeatable, type Redialler } from './exchange.ts';
import { failLine, type Lifeline, makeLifeline } from './lifeline.ts';
import { makePools, POOL_LIMITS, type PoolLimits } from './pools.ts';
import { type Lookup, makeResolver } from './resolve.ts';
import { routeOf } from './route.ts';
import { makeTls } from './tls.ts';
import { writeHead } from './wire.ts';

export interface TransportParts {
  readonly settings: {
    readonly timeouts: Pick<Settings['timeouts'], 'connectMs'>;
    readonly limits: Pick<Settings['limits'], 'headersBytes'>;
    /** PEM file with further roots. */
    readonly targets: Pick<Settings['targets'], 'extraRoots'>;
  };
  readonly clock: Clock;
  /** Whether an address a target's name resolved to may be dialled from here (D01, D03). */
  readonly judgeAddress: JudgeAddress;
  readonly pools?: PoolLimits;
  /** Monotonic milliseconds; replaced together with the clock in tests. */
  readonly ticks?: Ticks;
  readonly lookup?: Lookup;
}

/** Throws when the file of extra roots cannot be read. */
export const makeTransport = (given: TransportParts): Transport => {
  const { settings, clock } = given;
  const ticks = given.ticks ?? (() => performance.now());
  const pools = makePools(given.pools ?? POOL_LIMITS, clock, ticks);
  const dial = makeDial({
    resolver: makeResolver(given.lookup),
    tls: makeTls(settings.targets.extraRoots),
    judgeAddress: given.judgeAddress,
    connectMs: settings.timeouts.connectMs,
  });
  const lines = new Set<Lifeline>();
  const live = new Set<Connection>();
  let closed = false;

  const shelter: ConnectionParts['shelter'] = {
    give: pools.give,
    forget(connection) {
      live.delete(connection);
      pools.forget(connection);
    },
  };
  const connectionParts: ConnectionParts = { clock, ticks, shelter, maxHeadBytes: settings.limits.headersBytes };

  const runFresh = async (exchange: Exchange): Promise<void> => {
    const { route, stop } = exchange.parts;
    const line = makeLifeline(clock, stop, exchange.leftMs);
    lines.add(line);
    try {
      const connection = new Connection(await dial(line, route), route.key, connectionParts);
      live.add(connection);
      line.release();
      exchange.run(connection, false);
    } catch (error) {
      exchange.fail(failLine(line, error));
    } finally {
      lines.delete(line);
    }
  };
  const redialler: Redialler = {
    again(exchange) {
      void runFresh(exchange);
    },
  };

  return {
    attempt: (request, options, stop) =>
      new Promise((resolve, reject) => {
        if (closed) throw new Fault('serverbusy', { reason: 'transport closed' });
        const route = routeOf(request, options);
        const head = writeHead(request, route);
        const exchange = new Exchange({ request, options, stop, route, head, ticks, redialler }, resolve, reject);
        const pooled = route.key === undefined ? undefined : pools.take(route.key, !isRepeatable(request));
        if (pooled) exchange.run(pooled, true);
        else redialler.again(exchange);
      }),
    async close() {
      closed = true;
      const error = new Fault('serverbusy', { reason: 'transport closed' });
      for (const line of lines) line.cut(error);
      for (const connection of [...live]) {
        connection.tenant?.fail(error);
        connection.destroy();
      }
      pools.close();
    },
  };
};
