/** Live sessions and those in the making, per account: ids, names, limit, idle life, and which upstream hosts which. */
import type { SessionAsk } from '../pipeline/ports.ts';
import { isOver, looksLikeId, newSessionId } from '../policy/sessions.ts';
import { type Linked, makeChain } from './chain.ts';
import type { Exit } from './exits.ts';

export interface Session extends Linked<Session> {
  readonly id: string;
  readonly account: string;
  readonly name: string | undefined;
  /** `undefined` while in the making: reserved for requests that still wait for their first turn. */
  exit: Exit | undefined;
  /** Requests in it, waiting ones included. */
  running: number;
  lastUse: number;
  /** Per website: bans that only this session remembers. */
  readonly bans: Map<string, { readonly exit: Exit; readonly until: number }>;
  /** Per website: `R` of a rotating upstream, which is this session's alone. */
  readonly readyAt: Map<string, number>;
}

export interface SessionBook {
  /** A live session; for a name also one in the making. */
  find(account: string, ask: SessionAsk, now: number): Session | undefined;
  byId(account: string, id: string | undefined): Session | undefined;
  /** Whether the account has its maximum; those in the making count, ended ones do not (S-10). */
  isFull(account: string, max: number, now: number): boolean;
  make(account: string, name: string | undefined, exit: Exit | undefined, now: number): Session;
  /** Puts one back from a snapshot. They must come in order of last use. */
  restore(account: string, id: string, name: string | undefined, exit: Exit, lastUse: number): Session;
  bind(session: Session, exit: Exit): void;
  enter(session: Session): void;
  leave(session: Session, now: number): void;
  end(session: Session): void;
  live(account: string, now: number): Session[];
  all(now: number): Session[];
  /** Ends the sessions whose upstream is gone (S-18). */
  dropWhere(gone: (exit: Exit) => boolean): void;
}

interface Shelf {
  readonly byId: Map<string, Session>;
  readonly byName: Map<string, Session>;
}

/** More websites than this a session does not remember at a time; what is over goes first. */
const MAX_REMEMBERED = 1_000;

/** Keeps a map of times small: drops what is over, then the oldest. */
export const trim = <T>(map: Map<string, T>, isPast: (value: T) => boolean): void => {
  if (map.size < MAX_REMEMBERED) return;
  for (const [key, value] of map) if (isPast(value)) map.delete(key);
  for (const key of map.keys()) {
    if (map.size < MAX_REMEMBERED) break;
    map.delete(key);
  }
};

/** Told of what a restart must not forget. */
export interface Changes {
  /** Something is new or gone. */
  changed(): void;
  /** Only a time of last use moved. */
  touched(): void;
  /** A session is over, whatever the reason. */
  ended(session: Session): void;
}

export const makeSessionBook = (
  random: () => number,
  idleMs: () => number,
  { changed, touched, ended }: Changes,
): SessionBook => {
  const shelves = new Map<string, Shelf>();
  const ids = new Set<string>();
  const idle = makeChain<Session>();
  let given = 0;

  const unhost = (session: Session): void => {
    if (session.exit) session.exit.sessions--;
  };

  const end = (session: Session): void => {
    const shelf = shelves.get(session.account);
    if (shelf?.byId.get(session.id) !== session) return;
    shelf.byId.delete(session.id);
    if (session.name !== undefined && shelf.byName.get(session.name) === session) shelf.byName.delete(session.name);
    if (shelf.byId.size === 0) shelves.delete(session.account);
    ids.delete(session.id);
    idle.remove(session);
    unhost(session);
    ended(session);
    changed();
  };

  const endOver = (now: number): void => {
    const life = idleMs();
    for (let first = idle.first(); first && isOver(first.lastUse, first.running, life, now); first = idle.first()) {
      end(first);
    }
  };

  const freeId = (): string => {
    for (;;) {
      const id = newSessionId(random);
      if (!ids.has(id)) return id;
    }
  };

  const add = (session: Session): Session => {
    const shelf = shelves.get(session.account) ?? { byId: new Map(), byName: new Map() };
    shelves.set(session.account, shelf);
    shelf.byId.set(session.id, session);
    if (session.name !== undefined) shelf.byName.set(session.name, session);
    ids.add(session.id);
    if (session.exit) session.exit.sessions++;
    idle.append(session);
    changed();
    return session;
  };

  const blank = (id: string, account: string, name: string | undefined, exit: Exit | undefined): Session => ({
    id,
    account,
    name,
    exit,
    running: 0,
    lastUse: 0,
    bans: new Map(),
    readyAt: new Map(),
    before: undefined,
    after: undefined,
    linked: false,
  });

  const all = (now: number): Session[] => {
    endOver(now);
    return [...shelves.values()].flatMap((shelf) => [...shelf.byId.values()].filter((one) => one.exit !== undefined));
  };

  return {
    find: (account, ask, now) => {
      endOver(now);
      const shelf = shelves.get(account);
      if (!shelf || ask.by === 'create') return undefined;
      if (ask.by === 'name') return shelf.byName.get(ask.name);
      const session = looksLikeId(ask.id) ? shelf.byId.get(ask.id) : undefined;
      return session?.exit ? session : undefined;
    },
    byId: (account, id) => (id === undefined ? undefined : shelves.get(account)?.byId.get(id)),
    isFull: (account, max, now) => {
      endOver(now);
      return (shelves.get(account)?.byId.size ?? 0) >= max;
    },
    make: (account, name, exit, now) => {
      const session = blank(freeId(), account, name, exit);
      session.lastUse = now;
      if (exit) exit.given = ++given;
      return add(session);
    },
    restore: (account, id, name, exit, lastUse) => {
      const session = blank(id, account, name, exit);
      session.lastUse = lastUse;
      return add(session);
    },
    bind: (session, exit) => {
      if (session.exit === exit) return;
      unhost(session);
      session.exit = exit;
      exit.sessions++;
      changed();
    },
    enter: (session) => {
      session.running++;
      idle.remove(session);
      touched();
    },
    leave: (session, now) => {
      session.running--;
      session.lastUse = now;
      if (session.running > 0) return;
      if (session.exit === undefined) end(session);
      else idle.append(session);
      touched();
    },
    end,
    live: (account, now) => {
      endOver(now);
      return [...(shelves.get(account)?.byId.values() ?? [])].filter((one) => one.exit !== undefined);
    },
    all,
    dropWhere: (gone) => {
      for (const session of all(0)) if (session.exit && gone(session.exit)) end(session);
    },
  };
};
