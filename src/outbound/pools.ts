/** Idle connections, by who may use them again (C05); bounded for each key and in all, none kept long. */
import type { Clock, Timer } from '../pipeline/ports.ts';
import type { Connection, Shelter } from './connection.ts';
import type { Ticks } from './deadline.ts';

export interface PoolLimits {
  /** Idle connections a key. */
  readonly perKey: number;
  readonly total: number;
  /** Common servers close idle connections after 5 to 75 s; being first avoids losing requests to that race. */
  readonly idleMs: number;
}

export interface Pools extends Shelter {
  /** `careful` = for a request that cannot be repeated: only a connection whose peer evidently keeps it. */
  take(key: string, careful: boolean): Connection | undefined;
  close(): void;
  readonly idle: number;
}

export const POOL_LIMITS: PoolLimits = { perKey: 64, total: 1_000, idleMs: 15_000 };

const SWEEP_MS = 1_000;
/** How long before the peer's own announced limit (`Keep-Alive: timeout`) a connection is given up. */
const MARGIN_MS = 1_000;
const SHORTEST_MS = 250;
/** Some peers say keep-alive and close all the same, right behind the response; on a busy machine that takes its time. */
const SETTLED_MS = 1_000;
/** Short of the idle time of the least patient common servers. */
const STALE_MS = 4_000;

const isSafe = (connection: Connection, now: number): boolean => {
  const idleForMs = now - connection.idleSince;
  return idleForMs < STALE_MS && (connection.served > 1 || idleForMs >= SETTLED_MS);
};

export const makePools = (limits: PoolLimits, clock: Clock, ticks: Ticks): Pools => {
  const shelves = new Map<string, Connection[]>();
  let idle = 0;
  let sweeping: Timer | undefined;
  let closed = false;

  const remove = (shelf: Connection[], connection: Connection): void => {
    const at = shelf.indexOf(connection);
    if (at === -1) return;
    shelf.splice(at, 1);
    idle--;
  };
  const forget = (connection: Connection): void => {
    const shelf = connection.key === undefined ? undefined : shelves.get(connection.key);
    if (shelf) remove(shelf, connection);
  };
  const sweep = (): void => {
    const now = ticks();
    for (const [key, shelf] of shelves) {
      for (const connection of shelf.filter(({ idleUntil }) => idleUntil <= now)) connection.destroy();
      if (shelf.length === 0) shelves.delete(key);
    }
    sweeping = shelves.size === 0 || closed ? undefined : clock.after(SWEEP_MS, sweep);
  };
  const dropOldest = (): void => {
    for (const shelf of shelves.values()) {
      const oldest = shelf[0];
      if (oldest) {
        oldest.destroy();
        return;
      }
    }
  };
  const shelfFor = (key: string): Connection[] => {
    let shelf = shelves.get(key);
    if (!shelf) {
      shelf = [];
      shelves.set(key, shelf);
    }
    return shelf;
  };
  const idleMs = ({ keepAliveMs }: Connection): number =>
    keepAliveMs === undefined ? limits.idleMs : Math.min(limits.idleMs, Math.max(SHORTEST_MS, keepAliveMs - MARGIN_MS));

  return {
    get idle() {
      return idle;
    },
    /** The one used last: the others may then grow old and go. */
    take(key, careful) {
      const shelf = shelves.get(key);
      if (!shelf) return undefined;
      const now = ticks();
      for (let at = shelf.length - 1; at >= 0; at--) {
        const connection = shelf[at] as Connection;
        if (connection.idleUntil <= now || connection.socket.destroyed) connection.destroy();
        else if (!careful || isSafe(connection, now)) {
          shelf.splice(at, 1);
          idle--;
          return connection;
        }
      }
      return undefined;
    },
    give(connection) {
      if (closed || connection.key === undefined) {
        connection.destroy();
        return;
      }
      if (idle >= limits.total) dropOldest();
      const shelf = shelfFor(connection.key);
      if (shelf.length >= limits.perKey) shelf[0]?.destroy();
      connection.idleSince = ticks();
      connection.idleUntil = connection.idleSince + idleMs(connection);
      shelf.push(connection);
      idle++;
      sweeping ??= clock.after(SWEEP_MS, sweep);
    },
    forget,
    close() {
      closed = true;
      sweeping?.cancel();
      sweeping = undefined;
      for (const shelf of shelves.values()) for (const connection of [...shelf]) connection.destroy();
      shelves.clear();
    },
  };
};
