/** Scrapy with a middleware that judges answers as the vendor's plugins did: what each error makes it do (contract 16, 16.1). */
import { request as ask } from 'node:http';
import { expect, it, onTestFinished, vi } from 'vitest';
import { basic, get } from '../support/client.ts';
import { KEY } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { describeClient, type Handler, SITE, startTown, type Town } from './kit.ts';
import { GENERATIONS, type Generation, inWords, type Plan, type PlannedRequest, react } from './scrapy/reactions.ts';

// Starting Python on a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 });

const NARROW = 'k3y-of-one-seat';

const YAML = (dialect: string): string => `
accounts:
  - { id: test, key: ${KEY}, dialect: ${dialect} }
  - { id: narrow, key: ${NARROW}, dialect: ${dialect}, maxConnections: 1 }
bans: { duration: 7s }
websites:
  busy.localhost: { siteDelay: 1h }
`;

/** The looks of one site by path; the ban carries what crawlgate says of bans, to see that a site cannot say it. */
const looks: Handler = ({ url = '' }, response) => {
  const [, look = ''] = url.split('/');
  if (look === 'held') return;
  if (look === 'ban') response.writeHead(429).end('no');
  else if (look === 'fake') response.writeHead(503, FAKED).end('busy');
  else response.end('fine');
};

const FAKED = {
  'Retry-After': '7',
  'X-Crawlera-Error': 'banned',
  'Zyte-Error': 'banned',
  'Zyte-Error-Type': 'banned',
};

/** A request of the narrow account that takes its only seat until the test is over. */
const takeSeat = async (town: Town): Promise<void> => {
  const path = `${town.site.httpUrl}/held`;
  const headers = { 'Proxy-Authorization': basic(NARROW), 'X-Crawlera-Timeout': '180000' };
  const held = ask({ host: '127.0.0.1', port: town.proxy.port, path, headers });
  held.on('error', () => {}).end();
  onTestFinished(() => void held.destroy());
  await until(() => town.site.seen.some(({ url }) => url === '/held'), 'the held request');
};

/** Rows of 16.1 and a few more. Each generation has websites of its own, for bans are per website. */
const rowsFor = ({ site }: Town, generation: Generation): PlannedRequest[] => {
  const at = (host: string, path: string): string => `http://${host}.localhost:${site.http.port}/${path}`;
  const own = generation.replaceAll('.', '-');
  return [
    { row: 'fine', url: at(own, 'fine') },
    { row: 'ban', url: at(own, 'ban'), headers: { 'X-Crawlera-Session': 'create' } },
    { row: 'ban again in the session', url: at(own, 'fine'), session: true },
    { row: 'serverbusy', url: at('busy', 'fine') },
    { row: 'noslaves', url: at(own, 'fine'), headers: { 'X-Crawlera-Region': 'aq' } },
    { row: 'too_many_conns', url: at(own, 'fine'), key: NARROW },
    { row: 'wrong key', url: at(own, 'fine'), key: 'wrong' },
    { row: 'wrong key, https', url: `https://${SITE}:${site.https.port}/`, key: 'wrong' },
    { row: 'bad_session_id', url: at(own, 'fine'), headers: { 'X-Crawlera-Session': '7654321' } },
    { row: 'a 503 of the site', url: at(own, 'fake') },
    { row: 'the same past crawlgate', url: `http://127.0.0.1:${site.http.port}/fake`, direct: true },
  ];
};

type Column = readonly [
  ban: string,
  busy: string,
  none: string,
  seats: string,
  key: string,
  site: string,
  past: string,
];

const OLD: Column = [
  'ban, Retry-After',
  'ban, Retry-After',
  'ban, Retry-After',
  'nothing',
  'nothing',
  'ban, Retry-After',
  'ban, Retry-After',
];
const MIDDLE: Column = ['nothing', 'nothing', 'backoff 15', 'nothing', 'nothing', 'nothing', 'nothing'];
const NEW: Column = ['ban, Retry-After', 'backoff 15', 'backoff 15', 'backoff 15', 'nothing', 'nothing', 'nothing'];
const withBan = ([, ...others]: Column): Column => ['ban, Retry-After', ...others];
const withRepeats = ([ban, busy, none, seats, , ...others]: Column): Column => [
  ban,
  busy,
  none,
  seats,
  'backoff 60, 2 repeats',
  ...others,
];
const notBlind = (column: Column): Column => [...column.slice(0, 6), 'ban, Retry-After'] as unknown as Column;

type Table = Readonly<Record<Generation, Column>>;

const CRAWLERA: Table = {
  '1.4.0': OLD,
  '1.5.1': notBlind(MIDDLE),
  '1.7.2': MIDDLE,
  '2.2.0': MIDDLE,
  '2.3.5': NEW,
  '2.4.1': NEW,
};

const SPM: Table = {
  '1.4.0': OLD,
  '1.5.1': notBlind(withBan(withRepeats(MIDDLE))),
  '1.7.2': withBan(withRepeats(MIDDLE)),
  '2.2.0': withBan(withRepeats(MIDDLE)),
  '2.3.5': withRepeats(NEW),
  '2.4.1': withRepeats(NEW),
};

const expected = ([ban, busy, none, seats, key, site, past]: Column): Record<string, string> => ({
  fine: 'nothing',
  ban,
  'ban again in the session': ban,
  serverbusy: busy,
  noslaves: none,
  too_many_conns: seats,
  'wrong key': key,
  'wrong key, https': 'nothing',
  bad_session_id: 'nothing',
  'a 503 of the site': site,
  'the same past crawlgate': past,
});

/** Every plan's reactions in the words of the table. */
const reactions = async (dialect: string) => {
  const town = await startTown({ yaml: YAML(dialect), handler: looks });
  await takeSeat(town);
  // From now on everybody else is over the hard limit there.
  await get(town.proxy, `http://busy.localhost:${town.site.http.port}/fine`);
  // All of them with a wrong key ten times over would be slowed down as somebody who guesses.
  const settings = { PACED_MAX_REPEATS: 2 };
  const plans: Plan[] = GENERATIONS.map((generation) => ({
    generation,
    settings,
    requests: rowsFor(town, generation),
  }));
  const all = await react(town, plans);
  return { town, all };
};

describeClient('scrapyMiddleware', () => {
  it.each([
    ['crawlera', CRAWLERA],
    ['spm', SPM],
    // Only who names itself gets the other spelling (E-06).
    ['auto', { ...CRAWLERA, '2.2.0': withBan(MIDDLE) }],
  ] as const)(
    'E-03 E-06 E-07 E-08 R-01 F-06 dialect %s: every generation reacts to every error as measured',
    async (dialect, table) => {
      const { town, all } = await reactions(dialect);
      const words = GENERATIONS.map((generation) => [
        generation,
        Object.fromEntries(all.of(generation).map((one) => [one.row, inWords(one)])),
      ]);
      expect(Object.fromEntries(words), all.log).toEqual(
        Object.fromEntries(GENERATIONS.map((generation) => [generation, expected(table[generation])])),
      );
      expect(town.proxy.bugs).toEqual([]);
    },
  );

  it('E-09 P-01 bans become a delay of as many seconds as Retry-After says, a good page ends it, and more than maxbans in a row close the spider', async () => {
    const town = await startTown({ handler: looks });
    const url = (path: string, generation: string) => `${town.site.httpUrl}/${path}/${generation}`;
    const settings = { PACED_MAX_BANS: 1 };
    const plans = (['1.4.0', '2.4.1'] as const).map((generation): Plan => {
      const paths = ['ban', 'fine', 'fine', 'ban', 'ban', 'never'];
      return {
        generation,
        settings,
        requests: paths.map((row) => ({ row, url: url(row, generation), slot: 'shop' })),
      };
    });
    const all = await react(town, plans);
    for (const { generation } of plans) {
      expect(
        all.of(generation).map((one) => [one.row, one.retryAfter, inWords(one)]),
        all.log,
      ).toEqual([
        ['ban', 1, 'ban, Retry-After'],
        ['fine', 0, 'nothing'],
        ['fine', 0, 'nothing'],
        ['ban', 1, 'ban, Retry-After'],
        ['ban', 1, 'ban, Retry-After'],
      ]);
      expect(all.closed(generation)).toBe('banned');
      const arrivals = town.site.seen.filter((one) => one.url.endsWith(generation)).map(({ atMs }) => atMs);
      expect(arrivals).toHaveLength(5);
      const [first = 0, second = 0, , fourth = 0, fifth = 0] = arrivals;
      expect(second - first).toBeGreaterThan(800);
      expect(fifth - fourth).toBeGreaterThan(800);
    }
  });

  it('E-03 S-18 noslaves makes it back off further and further up to its cap, and a good page ends that', async () => {
    const town = await startTown();
    const requests = [1, 2, 3, 4, 5, 6].map(
      (n): PlannedRequest => ({
        row: `${n}`,
        url: `${town.site.httpUrl}/${n}`,
        slot: 'shop',
        ...(n < 6 ? { headers: { 'X-Crawlera-Region': 'aq' } } : {}),
      }),
    );
    const plans = (['1.5.1', '2.4.1'] as const).map((generation): Plan => ({ generation, requests }));
    const all = await react(town, plans);
    for (const { generation } of plans) {
      expect(all.of(generation).map(inWords), all.log).toEqual([
        'backoff 15',
        'backoff 30',
        'backoff 60',
        'backoff 120',
        'backoff 180',
        'nothing',
      ]);
    }
  });

  it('E-06 U-04 a wrong key in the spm dialect is tried ten times more, and in the crawlera dialect not once', async () => {
    const reactionsIn = async (dialect: string): Promise<string[]> => {
      const town = await startTown({ yaml: YAML(dialect) });
      const requests = [{ row: 'wrong key', url: `${town.site.httpUrl}/`, key: 'wrong' }];
      return (await react(town, [{ generation: '2.4.1', requests }])).of('2.4.1').map(inWords);
    };
    expect(await reactionsIn('spm')).toEqual(['backoff 180, 10 repeats']);
    expect(await reactionsIn('crawlera')).toEqual(['nothing']);
  });

  it('H-01 H-18 H-26 F-01 what it adds is noted by crawlgate and never seen by the site', async () => {
    const town = await startTown();
    const requests = [{ row: 'fine', url: `${town.site.httpsUrl}/fine` }];
    const all = await react(town, [{ generation: '2.4.1', settings: { PACED_JOB: '1/2/3' }, requests }]);
    expect(all.of('2.4.1').map(inWords), all.log).toEqual(['nothing']);
    expect(town.proxy.receipts.map(({ job }) => [job?.controls.jobId, job?.controls.client])).toEqual([
      ['1/2/3', 'scrapy-zyte-smartproxy/2.4.1'],
    ]);
    expect(town.site.seen[0]?.rawHeaders.join()).not.toMatch(/crawlera|smartproxy|1\/2\/3/i);
  });
});
