/** What the example programs of every language are put through, and a wire tap between a program and the proxy. */
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { listen } from '../support/sockets.ts';
import { type Handler, type SeenRequest, startTown, type Town, type TownOptions } from './kit.ts';

export const WRONG_KEY = 'no-such-key';

/** Answers with what it got: method, path, body. */
export const echo: Handler = (request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    response.setHeader('Content-Type', 'text/plain');
    response.end(`${request.method} ${request.url} [${body}]`);
  });
};

/** Every answer of it is a ban (A-08). */
export const banning: Handler = (_request, response) => {
  response.statusCode = 429;
  response.end('slow down');
};

/** Answers once so many requests are there at the same time. */
export const together = (count: number): Handler => {
  const waiting: (() => void)[] = [];
  return (request, response) => {
    waiting.push(() => response.end(`page ${request.url}`));
    if (waiting.length === count) for (const answer of waiting.splice(0)) answer();
  };
};

export interface Tap {
  /** `127.0.0.1:PORT`, what a program takes for the proxy. */
  readonly address: string;
  /** Of every connection in order, the heads that went over it in the clear. */
  readonly heads: string[][];
}

const HEAD = /^[A-Z]+ \S+ HTTP\/1\.[01]\r\n(?:.+\r\n)*\r\n/;

const startTap = async (port: number): Promise<Tap> => {
  const heads: string[][] = [];
  const server = createServer((client: Socket) => {
    const own: string[] = [];
    heads.push(own);
    const proxy = connect(port, '127.0.0.1');
    client.on('data', (chunk: Buffer) => {
      const head = HEAD.exec(chunk.toString('latin1'))?.[0];
      if (head !== undefined) own.push(head);
    });
    client.pipe(proxy).pipe(client);
    client.on('close', () => proxy.destroy());
    proxy.on('error', () => client.destroy());
  });
  const { port: own, close } = await listen(server);
  onTestFinished(close);
  return { address: `127.0.0.1:${own}`, heads };
};

export interface TappedTown extends Town {
  readonly tap: Tap;
}

/** A town whose proxy is reached through a tap. */
export const startTapped = async (options: TownOptions = {}): Promise<TappedTown> => {
  const town = await startTown({ handler: echo, ...options });
  return { ...town, tap: await startTap(town.proxy.port) };
};

export interface Means {
  readonly key?: string;
  /** Without it the program has only the system's certificates. */
  readonly trusts?: boolean;
}

/** The environment the example programs read. */
export const environment = (
  town: TappedTown,
  { key = town.key, trusts = true }: Means = {},
): Record<string, string> => ({
  CRAWLGATE_PROXY: town.tap.address,
  CRAWLGATE_API_KEY: key,
  ...(trusts ? { CRAWLGATE_CA: town.caFile } : {}),
});

export type Example = 'fetch' | 'session';

export type RunExample = (example: Example, town: TappedTown, url: string, means?: Means) => Promise<Exit>;

/** Runs `program <folder>/<example>.<suffix> URL`. */
export const script =
  (program: string, folder: string, suffix: string): RunExample =>
  (example, town, url, means) =>
    run(program, [join('examples', folder, `${example}.${suffix}`), url], { env: environment(town, means) });

/** How many requests or CONNECTs the proxy gets, those without a key included. */
export interface Sends {
  readonly fetch: number;
  readonly session: Readonly<Record<'http' | 'https', number>>;
}

/** The key goes along at once, and one tunnel does for a session. */
const DIRECT: Sends = { fetch: 1, session: { http: 2, https: 1 } };

export interface Language {
  readonly run: RunExample;
  /** What it says without the CA. */
  readonly untrusted: RegExp;
  /** What it says of a wrong key: to an http page, and to an https page. */
  readonly wrongKey: readonly [RegExp, RegExp];
  /** What its programs send in the clear; `DIRECT` where not given. */
  readonly sends?: Sends;
}

/** The control headers, the key and everything hop-by-hop stay here (F-01, U-10). */
const expectNothingOfOurs = (seen: readonly SeenRequest[]): void => {
  for (const { headers } of seen) {
    const names = Object.keys(headers).filter((name) => /^(x-crawlera|zyte-|proxy-|te$|via$|x-forwarded)/.test(name));
    expect(names).toEqual([]);
  }
};

/** `METHOD target` of everything that went over the tap in the clear. */
export const firstLines = ({ heads }: Tap): string[] => heads.flat().map((head) => head.split(' HTTP/')[0] ?? '');

const checkPages = ({ run: runExample, sends = DIRECT, untrusted }: Language): void => {
  it('T-02 U-01 fetches an http page in absolute form, and shows the upstream', async () => {
    const town = await startTapped({ upstreams: 1 });
    const url = `${town.site.httpUrl}/a?b=1`;
    const { out, err, status } = await runExample('fetch', town, url);
    expect([status, err]).toEqual([0, '']);
    expect(out).toBe(`200 through 127.0.0.1:${town.upstreams[0]?.port}\nGET /a?b=1 []\n`);
    expect(firstLines(town.tap)).toEqual(Array.from({ length: sends.fetch }, () => `GET ${url}`));
    expectNothingOfOurs(town.site.seen);
  });

  it('T-04 T-07 C-01 C-04 fetches an https page through CONNECT with the CA', async () => {
    const town = await startTapped();
    const { out, err, status } = await runExample('fetch', town, `${town.site.httpsUrl}/b`);
    expect([status, err]).toEqual([0, '']);
    expect(out).toBe('200 through 127.0.0.1:0\nGET /b []\n');
    const line = `CONNECT shop.localhost:${town.site.https.port}`;
    expect(firstLines(town.tap)).toEqual(Array.from({ length: sends.fetch }, () => line));
    expect(town.site.seen.map(({ secure }) => secure)).toEqual([true]);
    expectNothingOfOurs(town.site.seen);
  });

  it('C-01 refuses the certificate without the CA', async () => {
    const town = await startTapped();
    const { err, status } = await runExample('fetch', town, `${town.site.httpsUrl}/`, { trusts: false });
    expect(status).toBe(1);
    expect(err).toMatch(untrusted);
    expect(town.site.seen).toEqual([]);
  });
};

const checkErrors = ({ run: runExample, wrongKey }: Language): void => {
  it.each(['http', 'https'] as const)('U-04 says of a wrong key to an %s page that it is one', async (scheme) => {
    const town = await startTapped();
    const { err, status } = await runExample('fetch', town, `${town.site[`${scheme}Url`]}/`, { key: WRONG_KEY });
    expect(status).toBe(1);
    expect(err).toMatch(wrongKey[scheme === 'http' ? 0 : 1]);
    expect(err).not.toContain(WRONG_KEY);
    expect(town.site.seen).toEqual([]);
  });

  it('T-06 E-01 shows X-Crawlera-Error of an https page that cannot be had', async () => {
    const town = await startTapped();
    const { httpsUrl } = town.site;
    await town.site.https.close();
    const { err, status } = await runExample('fetch', town, `${httpsUrl}/`);
    expect([status, err.trimEnd()]).toEqual([1, '502 econnrefused: Connection refused']);
  });

  it('E-08 shows a ban with the time after which to try again', async () => {
    const town = await startTapped({ upstreams: 2, handler: banning });
    const { err, status } = await runExample('fetch', town, `${town.site.httpsUrl}/`);
    expect(status).toBe(1);
    expect(err).toMatch(/^503 slavebanned: Website crawl ban\r?\ntry again in \d+ s\s*$/);
    expect(town.site.seen.length).toBeGreaterThan(1);
  });
};

const checkSession = ({ run: runExample, sends = DIRECT }: Language): void => {
  it.each(['http', 'https'] as const)(
    'S-01 S-03 S-21 H-05 T-20 posts a form in a session: one upstream, one browser, one connection, %s',
    async (scheme) => {
      const town = await startTapped({ upstreams: 2 });
      const { out, err, status } = await runExample('session', town, `${town.site[`${scheme}Url`]}/s`);
      expect([status, err]).toEqual([0, '']);
      expect(out).toMatch(/^session [1-9]\d{6,14}\nGET \/s \[\]\nPOST \/s \[q=blue(\+|%20)shoes\]\n$/);
      const id = /\d+/.exec(out)?.[0];
      expect(town.proxy.receipts.filter(({ job }) => job).map(({ session }) => session)).toEqual([id, id]);
      expect(town.upstreams.filter(({ seen }) => seen.length > 0)).toHaveLength(1);
      const [first, second] = town.site.seen.map(({ headers }) => headers['user-agent']);
      expect(first).toMatch(/^Mozilla\/5\.0 /);
      expect(second).toBe(first);
      expectNothingOfOurs(town.site.seen);
      expect(firstLines(town.tap)).toHaveLength(sends.session[scheme]);
      if (scheme === 'http') expect(town.tap.heads.at(-1)).toHaveLength(2);
    },
  );
};

/** Stands inside `describeClient`. */
export const checkExamples = (language: Language): void => {
  describe('its example programs', () => {
    checkPages(language);
    checkErrors(language);
    checkSession(language);
  });
};
