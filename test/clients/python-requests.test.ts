/** requests beyond the examples: strict verification, environment variables, bodies, sessions, threads. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectNothingOfOurs, used } from './command-support.ts';
import { describeClient } from './kit.ts';
import { firstLines, startTapped, together } from './languages.ts';
import { proxyEnv, python, runPython } from './python-support.ts';

const SCHEMES = ['http', 'https'] as const;

describeClient('requests', () => {
  it('S-01 S-03 T-20 stays on one upstream and in one tunnel with examples/python/requests_session.py', async () => {
    const town = await startTapped({ upstreams: 3 });
    const urls = ['/a', '/b', '/c'].map((path) => town.site.httpsUrl + path);
    const { out, err, status } = await runPython('requests_session', town, urls);
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^200 (\d+) GET \/a \[\]\n200 \1 GET \/b \[\]\n200 \1 GET \/c \[\]\n$/);
    expect(firstLines(town.tap)).toEqual([`CONNECT shop.localhost:${town.site.https.port}`]);
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });

  it.each(SCHEMES)('H-05 posts to an %s page: a form, JSON and a file', async (scheme) => {
    const town = await startTapped({ upstreams: 1 });
    const code = `
import requests
def post(**body):
    headers = {"X-Crawlera-Cookies": "disable", "Cookie": "mine=1"}
    response = requests.post(${scheme.toUpperCase()}, proxies=PROXIES, verify=CA, headers=headers, **body)
    print(response.text, response.headers["X-Crawlera-Version"])
post(data={"a": "1"})
post(json={"a": 1})
with open(CA, "rb") as file:
    post(data=file)`;
    const certificate = readFileSync(town.caFile, 'utf8').split('\n');
    const bodies = ['[a=1]', '[{"a": 1}]'].map((body) => `POST / ${body} 9.8.7`);
    expect((await python(town, code)).slice(0, 3)).toEqual([...bodies, `POST / [${certificate[0]}`]);
    expect(town.site.seen.map(({ headers }) => headers.cookie)).toEqual(Array(3).fill('mine=1'));
    expectNothingOfOurs(town.site.seen);
  });

  it('H-05 finds proxy and CA in the environment', async () => {
    const town = await startTapped();
    const env = { ...proxyEnv(town), REQUESTS_CA_BUNDLE: town.caFile };
    const code = 'import requests\nfor url in [HTTP, HTTPS]: print(requests.get(url).text)';
    expect(await python(town, code, { env })).toEqual(['GET / []', 'GET / []']);
    expect(town.tap.heads).toHaveLength(2);
  });

  it('C-04 accepts leaf and CA with VERIFY_X509_STRICT', async () => {
    const town = await startTapped();
    const code = `
import requests
from requests.adapters import HTTPAdapter
context = ssl.create_default_context(cafile=CA)
context.verify_flags |= ssl.VERIFY_X509_STRICT
class Strict(HTTPAdapter):
    def proxy_manager_for(self, proxy, **more):
        return super().proxy_manager_for(proxy, ssl_context=context, **more)
with requests.Session() as client:
    client.mount("https://", Strict())
    print(client.get(HTTPS + "/strict", proxies=PROXIES, verify=CA).text)`;
    expect(await python(town, code)).toEqual(['GET /strict []']);
  });

  it('C-01 heeds REQUESTS_CA_BUNDLE more than the verify of a session, less than that of a request', async () => {
    const town = await startTapped();
    const other = join(town.folder, 'other.pem');
    writeFileSync(other, town.site.root);
    const code = `
import requests
with requests.Session() as client:
    client.verify = CA
    try:
        client.get(HTTPS, proxies=PROXIES)
    except requests.exceptions.SSLError:
        print("SSLError")
    print(client.get(HTTPS, proxies=PROXIES, verify=CA).text)`;
    expect(await python(town, code, { env: { REQUESTS_CA_BUNDLE: other } })).toEqual(['SSLError', 'GET / []']);
  });

  it('L-01 fetches with eight threads, each through a tunnel of its own', async () => {
    const town = await startTapped({ upstreams: 2, handler: together(8) });
    const code = `
import requests
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    get = lambda i: requests.get(HTTPS + "/%d" % i, proxies=PROXIES, verify=CA).text
    print(" ".join(pool.map(get, range(8))))`;
    expect(await python(town, code)).toEqual([Array.from({ length: 8 }, (_, i) => `page /${i}`).join(' ')]);
  });

  it('S-04 S-06 takes the body of POST /sessions as it is for the header', async () => {
    const town = await startTapped({ upstreams: 3 });
    const code = `
import requests
API, KEY = "http://" + PROXY.split("@")[1], PROXY[7:].split(":")[0]
session = requests.post(API + "/sessions", auth=(KEY, "")).text
for url in [HTTP, HTTPS]:
    answer = requests.get(url, proxies=PROXIES, verify=CA, headers={"X-Crawlera-Session": session})
    print(answer.headers["X-Crawlera-Session"] == session)
print(list(requests.get(API + "/sessions", auth=(KEY, "")).json()) == [session])
print(requests.delete(API + "/sessions/" + session, auth=(KEY, "")).status_code)
gone = requests.get(HTTPS, proxies=PROXIES, verify=CA, headers={"X-Crawlera-Session": session})
print(gone.status_code, gone.headers["X-Crawlera-Error"], gone.headers["X-Crawlera-Session"] == session)`;
    expect(await python(town, code)).toEqual(['True', 'True', 'True', '204', '400 bad_session_id True']);
    expect(used(town.upstreams)).toBe(1);
  });

  it('U-06 needs the key in the address of the proxy: HTTPProxyAuth does for http alone', async () => {
    const town = await startTapped();
    const code = `
import requests
from requests.auth import HTTPProxyAuth
KEY, ADDRESS = PROXY[7:].split(":@")
proxies = {scheme: "http://" + ADDRESS for scheme in PROXIES}
print(requests.get(HTTP, proxies=proxies, auth=HTTPProxyAuth(KEY, "")).text)
try:
    requests.get(HTTPS, proxies=proxies, auth=HTTPProxyAuth(KEY, ""), verify=CA)
except requests.exceptions.ProxyError as error:
    print("407 Proxy Authentication Required" in str(error))`;
    expect(await python(town, code)).toEqual(['GET / []', 'True']);
  });

  it('U-11 stays in a session named in the address of the proxy', async () => {
    const town = await startTapped({ upstreams: 3 });
    const code = `
import requests
proxy = PROXY.replace(":@", "-session-basket7:@")
for url in [HTTP, HTTPS] * 2: print(requests.get(url, proxies={"http": proxy, "https": proxy}, verify=CA).status_code)`;
    expect(await python(town, code)).toEqual(Array(4).fill('200'));
    expect(used(town.upstreams)).toBe(1);
  });

  it('T-16 gets a megabyte as the site sent it', async () => {
    const page = Buffer.alloc(1024 * 1024, 'a page of the shop. ');
    const town = await startTapped({ upstreams: 1, handler: (_request, response) => void response.end(page) });
    const code = `
import hashlib, requests
print(hashlib.sha256(requests.get(HTTPS, proxies=PROXIES, verify=CA).content).hexdigest())`;
    expect(await python(town, code)).toEqual([createHash('sha256').update(page).digest('hex')]);
  });
});
