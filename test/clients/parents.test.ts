/** Crawlgate as the parent of squid and of privoxy: programs that know one of these need neither key nor change. */
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { listen } from '../support/sockets.ts';
import { describeClient, startTown, type Town } from './kit.ts';
import { echo, WRONG_KEY } from './node-support.ts';
import { type Parent, startPrivoxy, startSquid } from './parent-support.ts';

/** Status, code and session of an answer, after its body. */
const TOLD = ['-w', '\n%{http_code} %header{x-crawlera-error} %header{x-crawlera-session}'];
const CREATE = ['-H', 'X-Crawlera-Session: create'];

const names = ({ site }: Town): string[] =>
  site.seen.flatMap(({ rawHeaders }) => rawHeaders.filter((_, index) => index % 2 === 0));

const closedPort = async (): Promise<number> => {
  const gone = await listen(createServer());
  await gone.close();
  return gone.port;
};

type Start = (town: Town) => Promise<Parent>;

const checks = (start: Start, wrong: Start): void => {
  it('T-02 F-02 U-10 passes http on; the website sees nothing of either proxy', async () => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const { curl } = await start(town);
    const { out, err } = await curl(...TOLD, '-H', 'X-Forwarded-For: 192.0.2.7', `${town.site.httpUrl}/a`);
    expect(out + err).toBe('saw GET /a \n200  ');
    expect(names(town).sort()).toEqual(['Accept', 'Host', 'User-Agent']);
    expect(town.proxy.receipts).toHaveLength(1);
  });

  it('T-04 T-07 C-01 passes tunnels on; the CA is trusted by the program', async () => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const { curl } = await start(town);
    const { out, err } = await curl(...TOLD, `${town.site.httpsUrl}/a`);
    expect(out + err).toBe('saw GET /a \n200  ');
    expect(names(town)).toEqual(['Host', 'User-Agent', 'Accept']);
    expect((await curl('--cacert', '/etc/hostname', `${town.site.httpsUrl}/a`)).status).toBe(77);
  });

  it('S-01 S-03 H-05 posts in a session', async () => {
    const town = await startTown({ upstreams: 2, handler: echo });
    const { curl } = await start(town);
    const [plain, secure] = [`${town.site.httpUrl}/form`, `${town.site.httpsUrl}/form`];
    const made = await curl(...TOLD, ...CREATE, plain);
    const session = /^saw GET \/form \n200 {2}(\d{7,15})$/.exec(made.out)?.[1];
    for (const url of [plain, secure]) {
      const sent = await curl(...TOLD, '-H', `X-Crawlera-Session: ${session}`, '-d', 'q=shoes', url);
      expect(sent.out).toBe(`saw POST /form q=shoes\n200  ${session}`);
    }
    expect(town.upstreams.map(({ seen }) => seen.length)).toContain(0);
  });

  it('E-01 A-02 S-09 hands on X-Crawlera-Error, and asks once', async () => {
    const town = await startTown();
    const { curl } = await start(town);
    const port = await closedPort();
    for (const url of [`http://shop.localhost:${port}/`, `https://shop.localhost:${port}/`]) {
      const refused = await curl(...TOLD, '-H', 'X-Crawlera-Max-Retries: 0', url);
      expect(refused.out).toBe('Connection refused\n502 econnrefused ');
      const unknown = await curl(...TOLD, '-H', 'X-Crawlera-Session: 1836172', url);
      expect(unknown.out).toBe('Incorrect session ID\n400 bad_session_id 1836172');
    }
    const outcomes = ['econnrefused', 'bad_session_id'];
    expect(town.proxy.receipts.map(({ outcome }) => outcome)).toEqual([...outcomes, ...outcomes]);
  });

  it('U-04 U-06 shows a wrong key of its own as 407', async () => {
    const town = await startTown();
    const { curl } = await wrong(town);
    expect((await curl(...TOLD, town.site.httpUrl)).out).toBe('\n407 bad_auth ');
    const tunnel = await curl(town.site.httpsUrl);
    expect([tunnel.status, tunnel.err]).toEqual([56, expect.stringContaining('407')]);
  });

  it('T-20 passes many requests on at once', async () => {
    const town = await startTown({ handler: echo });
    const { curl } = await start(town);
    const { status } = await curl('-Z', `${town.site.httpUrl}/[1-10]`, `${town.site.httpsUrl}/[11-20]`);
    expect(status).toBe(0);
    expect(new Set(town.site.seen.map(({ url }) => url)).size).toBe(20);
  });
};

/** The program brings its own key, and a session in its user name. */
const ownKey = async (town: Town, { curl }: Parent): Promise<void> => {
  const login = ['-U', `${town.key}-session-basket:`];
  const [first, second, none] = [
    await curl(...TOLD, ...login, `${town.site.httpUrl}/1`),
    await curl(...TOLD, ...login, `${town.site.httpsUrl}/2`),
    await curl(...TOLD, `${town.site.httpUrl}/3`),
  ];
  const session = /^saw GET \/1 \n200 {2}(\d+)$/.exec(first.out)?.[1];
  expect(second.out).toBe(`saw GET /2 \n200  ${session}`);
  expect(none.out).toBe('\n407 bad_auth ');
};

describeClient('squidParent', () => {
  checks(startSquid, (town) => startSquid(town, { login: `${WRONG_KEY}:` }));

  it('U-01 U-11 passes on the key of the program with login=PASSTHRU', async () => {
    const town = await startTown({ upstreams: 2, handler: echo });
    await ownKey(town, await startSquid(town, { login: 'PASSTHRU' }));
  });

  it('F-04 tells the website of an http address about itself where its configuration does not forbid it', async () => {
    const town = await startTown({ handler: echo });
    const lines = ['via off', 'forwarded_for delete', 'request_header_access Cache-Control deny all'];
    const { curl } = await startSquid(town, { edits: lines.map((from) => ({ from, to: '' })) });
    await curl(`${town.site.httpUrl}/a`);
    await curl(`${town.site.httpsUrl}/a`);
    const [plain, secure] = town.site.seen;
    expect(plain?.headers).toMatchObject({
      via: expect.stringContaining('squid'),
      'x-forwarded-for': '127.0.0.1',
      'cache-control': expect.stringContaining('max-age'),
    });
    expect(Object.keys(secure?.headers ?? {})).toEqual(['host', 'user-agent', 'accept']);
  });
});

describeClient('privoxyParent', () => {
  checks(startPrivoxy, (town) => startPrivoxy(town, { key: WRONG_KEY }));

  it('U-01 U-11 passes on the key of the program with enable-proxy-authentication-forwarding', async () => {
    const town = await startTown({ upstreams: 2, handler: echo });
    await ownKey(town, await startPrivoxy(town, { passing: true }));
  });
});
