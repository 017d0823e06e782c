/** The proxy reached over TLS (T-21), as curl, Python, Node and Chromium do it: docs/clients/proxy-over-https.md. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient, startTown, type Town, type TownOptions } from './kit.ts';
import { launchChromium } from './trusting-chromium.ts';

vi.setConfig({ testTimeout: 60_000 });

interface SecureTown extends Town {
  readonly tlsPort: number;
  /** `https://KEY:@localhost:PORT` */
  readonly secureUrl: string;
}

const secureTown = async (options: TownOptions = {}): Promise<SecureTown> => {
  const town = await startTown({ ...options, yaml: `listen: { tls: { port: 0 } }\n${options.yaml ?? ''}` });
  const tlsPort = town.proxy.app.tlsAddress?.port ?? 0;
  return { ...town, tlsPort, secureUrl: `https://${town.key}:@localhost:${tlsPort}` };
};

const curl = (town: SecureTown, ...args: readonly string[]): Promise<Exit> =>
  run('curl', ['-sS', '-i', '-x', `https://127.0.0.1:${town.tlsPort}`, '--proxy-cacert', town.caFile, ...args]);

const program = async (town: SecureTown, command: string, name: string, code: string): Promise<string[]> => {
  const file = join(town.folder, name);
  writeFileSync(file, code);
  const { out, err, status } = await run(command, [file], {
    env: { PROXY: town.secureUrl, CA: town.caFile, HTTP: town.site.httpUrl, HTTPS: town.site.httpsUrl },
  });
  if (status !== 0) throw new Error(`${out}${err}`);
  return out.trim().split('\n');
};

describeClient('tlsListener', () => {
  it('T-02 T-07 T-21 curl fetches http and https pages, posts, and keeps its connection', async () => {
    const town = await secureTown({ upstreams: 1 });
    const user = ['-U', `${town.key}:`];
    const plain = await curl(town, ...user, `${town.site.httpUrl}/a`, `${town.site.httpUrl}/b`);
    expect([plain.status, plain.out]).toEqual([0, expect.stringMatching(/page \/a[\s\S]*page \/b/)]);
    const secure = await curl(town, ...user, '--cacert', town.caFile, '-d', 'x=1', `${town.site.httpsUrl}/c`);
    expect([secure.status, secure.out]).toEqual([0, expect.stringContaining('page /c')]);
    expect(town.site.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /a', 'GET /b', 'POST /c']);
  });

  it('T-21 curl sees errors, sessions and the direct endpoints as on the plain port', async () => {
    const town = await secureTown({ upstreams: 1 });
    const refused = await curl(town, '-U', 'wrong:', `${town.site.httpUrl}/a`);
    expect(refused.out).toMatch(/^HTTP\/1\.1 407 [\s\S]*X-Crawlera-Error: bad_auth/);
    const session = await curl(
      town,
      '-U',
      `${town.key}:`,
      '-H',
      'X-Crawlera-Session: create',
      `${town.site.httpUrl}/a`,
    );
    expect(session.out).toMatch(/X-Crawlera-Session: \d+/);
    const list = await run('curl', [
      '-sS',
      '--cacert',
      town.caFile,
      '-u',
      `${town.key}:`,
      `https://localhost:${town.tlsPort}/sessions`,
    ]);
    expect(list.out).toContain(/X-Crawlera-Session: (\d+)/.exec(session.out)?.[1]);
  });

  it('T-21 curl that was not given the CA for the proxy says so', async () => {
    const town = await secureTown();
    const { status, err } = await run('curl', ['-sS', '-x', town.secureUrl, `${town.site.httpUrl}/a`]);
    expect([status, err]).toEqual([60, expect.stringContaining('SSL certificate problem')]);
    expect(town.site.seen).toEqual([]);
  });

  it('T-21 curl that takes the port for a plain one is told 400', async () => {
    const town = await secureTown();
    const { out } = await run('curl', [
      '-sS',
      '-i',
      '-x',
      `http://${town.key}:@127.0.0.1:${town.tlsPort}`,
      `${town.site.httpUrl}/a`,
    ]);
    expect(out).toMatch(/^HTTP\/1\.1 400 [\s\S]*X-Crawlera-Error: invalid_request/);
  });

  it('T-21 Python requests and urllib3 speak TLS in TLS', async () => {
    const town = await secureTown({ upstreams: 1 });
    const lines = await program(
      town,
      '/usr/bin/python3',
      'proxy-over-https.py',
      `
import os, requests, urllib3
proxy, ca = os.environ["PROXY"], os.environ["CA"]
with requests.Session() as session:
    session.proxies = {"http": proxy, "https": proxy}
    session.verify = ca
    for i in range(2):
        answer = session.post(os.environ["HTTPS"] + "/requests", data="x" * 100000)
        print(answer.status_code, answer.text.count("page /requests"), "X-Crawlera-Slave" in answer.headers)
headers = urllib3.make_headers(proxy_basic_auth=proxy.split("//")[1].split("@")[0])
pool = urllib3.ProxyManager(proxy, proxy_headers=headers, ca_certs=ca)
for url in (os.environ["HTTP"], os.environ["HTTPS"]):
    print(pool.request("GET", url + "/urllib3").status)
`,
    );
    expect(lines).toEqual(['200 1 True', '200 1 True', '200', '200']);
    expect(town.site.seen.map(({ url }) => url)).toEqual(['/requests', '/requests', '/urllib3', '/urllib3']);
  });

  it('T-21 undici goes through it with its ProxyAgent', async () => {
    const town = await secureTown({ upstreams: 1 });
    const undici = JSON.stringify(import.meta.resolve('undici'));
    const lines = await program(
      town,
      'node',
      'proxy-over-https.mjs',
      `
import { readFileSync } from 'node:fs';
import undici from ${undici};
const ca = readFileSync(process.env.CA);
const { origin, username } = new URL(process.env.PROXY);
const token = 'Basic ' + Buffer.from(username + ':').toString('base64');
const dispatcher = new undici.ProxyAgent({ uri: origin, token, proxyTls: { ca }, requestTls: { ca } });
for (const url of [process.env.HTTP, process.env.HTTPS]) {
  const { statusCode, body } = await undici.request(url + '/undici', { dispatcher });
  console.log(statusCode, (await body.text()).includes('page /undici'));
}
await dispatcher.close();
`,
    );
    expect(lines).toEqual(['200 true', '200 true']);
  });

  it('T-21 U-05 Chromium opens pages of http and https through it, with the key in the answer to the 407', async () => {
    const town = await secureTown({ upstreams: 1 });
    const proxy = { server: `https://localhost:${town.tlsPort}`, username: town.key, password: 'any' };
    const browser = await launchChromium({ proxy, caFile: town.caFile });
    const page = await browser.newPage();
    for (const url of [town.site.httpUrl, town.site.httpsUrl]) {
      const answer = await page.goto(`${url}/chromium`);
      expect([answer?.status(), answer?.headers()['x-crawlera-error']]).toEqual([200, undefined]);
      expect(await page.textContent('body')).toContain('page /chromium');
    }
  });
});
