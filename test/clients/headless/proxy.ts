/** The headless proxy's pattern: one session for a whole browser, made by its first request, replaced on any error (contract 16). */
import { connect as connectTls } from 'node:tls';
import { type Answer, basic, type Line, lineOn, openLine } from '../../support/client.ts';

export interface HeadlessOptions {
  /** Of crawlgate, on loopback. */
  readonly port: number;
  readonly key: string;
  /** PEM of crawlgate's CA. */
  readonly ca: string;
  /** How long requests wait for the one that makes the session. */
  readonly waitMs?: number;
  /** The same for a request that is tried again. */
  readonly retryWaitMs?: number;
  /** A session nobody used for so long is deleted. */
  readonly idleMs?: number;
}

export interface Ask {
  readonly method?: string;
  readonly body?: string;
}

export interface HeadlessProxy {
  /** One resource of a page, over http or https. Rejects when there is no tunnel or no session. */
  load(url: string, ask?: Ask): Promise<Answer>;
  /** Ids in the order in which they were deleted. */
  readonly deleted: readonly string[];
  /** Status of each DELETE. */
  readonly deletions: readonly number[];
  /** Requests that asked for a session. */
  created(): number;
  close(): void;
}

class NoSession extends Error {}

const inTime = <T>(promise: Promise<T>, ms: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoSession('no session in time')), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** CONNECT with nothing but the key; anything but 200 is a failure (T-04, T-05). */
const tunnel = async ({ port, key, ca }: HeadlessOptions, url: URL): Promise<Line> => {
  const line = await openLine(port);
  const authority = `${url.hostname}:${url.port || 443}`;
  const answer = await line.ask(`CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${basic(key)}\r\n\r\n`);
  if (answer.status !== 200) {
    line.socket.destroy();
    throw new Error(`CONNECT was answered ${answer.status}`);
  }
  line.socket.removeAllListeners('data');
  const secure = connectTls({ socket: line.socket, ca, servername: url.hostname, ALPNProtocols: ['http/1.1'] });
  await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
  return lineOn(secure);
};

/** One request in `session`, by a connection of its own. The key is repeated inside the tunnel (U-07). */
const send = async (options: HeadlessOptions, address: string, ask: Ask, session: string): Promise<Answer> => {
  const url = new URL(address);
  const secure = url.protocol === 'https:';
  const line = secure ? await tunnel(options, url) : await openLine(options.port);
  const { method = 'GET', body } = ask;
  const head = [
    `${method} ${secure ? url.pathname : address} HTTP/1.1`,
    `Host: ${url.host}`,
    `Proxy-Authorization: ${basic(options.key)}`,
    `X-Crawlera-Session: ${session}`,
    ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  try {
    return await line.ask(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`);
  } finally {
    line.socket.destroy();
  }
};

const deleteSession = async ({ port, key }: HeadlessOptions, id: string): Promise<number> => {
  const line = await openLine(port);
  const { status } = await line.ask(
    `DELETE /sessions/${id} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: ${basic(key)}\r\n\r\n`,
  );
  line.socket.destroy();
  return status;
};

export const makeHeadlessProxy = (options: HeadlessOptions): HeadlessProxy => {
  const { waitMs = 180_000, retryWaitMs = 30_000, idleMs = 300_000 } = options;
  const deleted: string[] = [];
  const deletions: number[] = [];
  let created = 0;
  let session: string | undefined;
  /** Resolves to the id, or to nothing when the request that was to make it made none. */
  let making: Promise<string | undefined> | undefined;
  let idle: NodeJS.Timeout | undefined;

  const drop = async (id: string): Promise<void> => {
    // Sixty requests may find the same session broken: the first one deletes it.
    if (deleted.includes(id)) return;
    deleted.push(id);
    if (session === id) session = undefined;
    deletions.push(await deleteSession(options, id));
  };

  const rest = (): void => {
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (session !== undefined) void drop(session);
    }, idleMs);
  };

  const idOf = (answer: Answer): string | undefined => answer.header('X-Crawlera-Session');
  const isBroken = (answer: Answer): boolean => answer.header('X-Crawlera-Error') !== undefined;

  const create = (url: string, ask: Ask): Promise<Answer> => {
    created++;
    const answering = send(options, url, ask, 'create');
    making = answering.then(
      (answer) => {
        making = undefined;
        if (!isBroken(answer)) session = idOf(answer);
        return session;
      },
      () => {
        making = undefined;
        return undefined;
      },
    );
    return answering;
  };

  const once = async (url: string, ask: Ask, patienceMs: number): Promise<Answer> => {
    while (session === undefined) {
      if (making === undefined) return create(url, ask);
      await inTime(making, patienceMs);
    }
    return send(options, url, ask, session);
  };

  return {
    async load(url, ask = {}) {
      const answer = await once(url, ask, waitMs);
      rest();
      if (!isBroken(answer)) return answer;
      // Without the id in an error answer the session would stay, and fail the next request too (S-09).
      const id = idOf(answer);
      if (id !== undefined) await drop(id);
      const again = await once(url, ask, retryWaitMs);
      rest();
      return again;
    },
    deleted,
    deletions,
    created: () => created,
    close: () => clearTimeout(idle),
  };
};
