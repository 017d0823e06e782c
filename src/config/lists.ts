/** Upstream lists, local and remote, read again every so often. Home of got. */
import { readFile } from 'node:fs/promises';
import { got } from 'got';
import type { Upstream } from '../model/job.ts';
import type { UpstreamList } from '../model/settings.ts';
import { parseUpstreamList } from './upstream-list.ts';

export interface Lists {
  /** What all lists hold now, each upstream once. */
  upstreams(): readonly Upstream[];
  /** Reads other lists from now on; what a list that stays held is kept until it is read again. */
  follow(lists: readonly UpstreamList[]): Promise<void>;
  stop(): void;
}

export interface ListEvents {
  /** The upstreams are others than before. */
  changed(): void;
  warn(message: string): void;
}

const DEADLINE_MS = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Throws when it cannot be had whole, in time and in size. */
const fetchText = async (url: string): Promise<string> => {
  const request = got.stream(url, { timeout: { request: DEADLINE_MS }, retry: { limit: 0 }, maxRedirects: 5 });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('more than 16 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

const readText = (location: string): Promise<string> =>
  /^https?:/i.test(location) ? fetchText(location) : readFile(location, 'utf8');

/** A location without what may be secret in it: credentials and query. */
const shown = (location: string): string => {
  if (!/^https?:/i.test(location)) return location;
  const url = new URL(location);
  return `${url.origin}${url.pathname}`;
};

interface Followed {
  readonly list: UpstreamList;
  upstreams: readonly Upstream[];
  timer: NodeJS.Timeout | undefined;
}

/** A list that cannot be read keeps what it held: a provider's outage takes no upstream away. */
export const makeLists = (events: ListEvents): Lists => {
  let followed: Followed[] = [];

  const read = async (one: Followed): Promise<void> => {
    const { location } = one.list;
    try {
      const { upstreams, errors } = parseUpstreamList(await readText(location));
      for (const error of errors) events.warn(`upstream list ${shown(location)}: ${error}`);
      const same = upstreams.map(({ id }) => id).join() === one.upstreams.map(({ id }) => id).join();
      one.upstreams = upstreams;
      if (!same && followed.includes(one)) events.changed();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      events.warn(`upstream list ${shown(location)} was not read: ${code}`);
    }
  };

  const again = (one: Followed): void => {
    one.timer = setTimeout(() => {
      void read(one).then(() => {
        if (followed.includes(one)) again(one);
      });
    }, one.list.everyMs);
    one.timer.unref();
  };

  const stop = (): void => {
    for (const one of followed) clearTimeout(one.timer);
    followed = [];
  };

  return {
    upstreams: () => [...new Map(followed.flatMap((one) => one.upstreams.map((up) => [up.id, up] as const))).values()],
    async follow(lists) {
      const before = new Map(followed.map((one) => [one.list.location, one.upstreams]));
      stop();
      followed = lists.map((list) => ({ list, upstreams: before.get(list.location) ?? [], timer: undefined }));
      const mine = followed;
      await Promise.all(mine.map(read));
      for (const one of mine) if (followed.includes(one)) again(one);
    },
    stop,
  };
};
