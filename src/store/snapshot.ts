/** Sessions and bans of the memory store as text, and back (S-20). */
import { looksLikeId } from '../policy/sessions.ts';
import type { Rooms } from './admission.ts';
import { isRecord, isText, isTime, readKept } from './kept.ts';
import { isBound } from './lines.ts';
import { bansOf, restoreBan } from './reload.ts';

const VERSION = 1;

interface SavedSession {
  readonly id: string;
  readonly account: string;
  readonly name: string | undefined;
  readonly upstream: string;
  readonly lastUse: number;
  /** Bans only this session remembers: website and end. */
  readonly bans: readonly (readonly [website: string, until: number])[];
}

interface Saved {
  readonly version: typeof VERSION;
  readonly sessions: readonly SavedSession[];
  readonly bans: readonly (readonly [website: string, upstream: string, until: number])[];
}

export const snapshot = (rooms: Rooms): string => {
  const now = rooms.clock.now();
  const sessions = rooms.book.all(now).filter(isBound);
  const saved: Saved = {
    version: VERSION,
    sessions: sessions.map(({ id, account, name, exit, running, lastUse, bans }) => ({
      id,
      account,
      name,
      upstream: exit.id,
      lastUse: running > 0 ? now : lastUse,
      bans: [...bans].flatMap(([website, ban]) => (ban.until > now && ban.exit === exit ? [[website, ban.until]] : [])),
    })) as SavedSession[],
    bans: rooms.sites
      .withBans(now)
      .flatMap((site) => bansOf(site, now).map(([id, until]) => [site.website, id, until] as const)),
  };
  return `${JSON.stringify(saved)}\n`;
};

const isSession = (value: unknown): value is SavedSession => {
  if (!isRecord(value)) return false;
  const { id, account, name, upstream, lastUse, bans } = value;
  const texts = isText(id) && looksLikeId(id) && isText(account) && isText(upstream);
  const rest = (name === undefined || isText(name)) && isTime(lastUse) && Array.isArray(bans);
  return texts && rest && bans.every((ban) => Array.isArray(ban) && isText(ban[0]) && isTime(ban[1]));
};

const isBan = (value: unknown): boolean =>
  Array.isArray(value) && isText(value[0]) && isText(value[1]) && isTime(value[2]);

const isSaved = (value: unknown): value is Saved => {
  if (!isRecord(value) || value['version'] !== VERSION) return false;
  const { sessions, bans } = value;
  return Array.isArray(sessions) && sessions.every(isSession) && Array.isArray(bans) && bans.every(isBan);
};

/** Sessions of upstreams that are not configured any more have ended (S-18). No time reaches further than it could now. */
const restore = (rooms: Rooms, saved: Saved): void => {
  const now = rooms.clock.now();
  const roster = rooms.roster();
  const latest = now + rooms.settings().banMs;
  const inOrder = [...saved.sessions].sort((a, b) => a.lastUse - b.lastUse);
  for (const one of inOrder) {
    const exit = roster.byId.get(one.upstream);
    if (!exit) continue;
    const session = rooms.book.restore(one.account, one.id, one.name, exit, Math.min(one.lastUse, now));
    for (const [website, until] of one.bans) session.bans.set(website, { exit, until: Math.min(until, latest) });
  }
  for (const [website, upstream, until] of saved.bans) {
    if (until <= now) continue;
    const site = rooms.sites.get(website, roster, now);
    restoreBan(site, upstream, Math.min(until, latest), now);
    rooms.sites.hasBans(site);
  }
};

/** Reads a snapshot when there is one; one that cannot be used is reported and left out. */
export const restoreFile = (rooms: Rooms, file: string, report: (problem: string) => void): void => {
  const saved = readKept('sessions and bans', file, isSaved, report);
  if (saved) restore(rooms, saved);
};
