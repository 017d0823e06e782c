/** urllib and requests beyond the examples: strict verification, environment variables, bodies, sessions, threads. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { expectNothingOfOurs, used } from './command-support.ts';
import { describeClient } from './kit.ts';
import { firstLines, startTapped, together } from './languages.ts';
import { proxyEnv, python, runPython, strictPython } from './python-support.ts';

const SCHEMES = ['http', 'https'] as const;

const URLLIB = `
import urllib.request
PROXIES = {scheme: PROXY.replace(":@", ":unused@") for scheme in PROXIES}
def opener(context):
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(PROXIES), urllib.request.HTTPSHandler(context=context))
`;

const STRICT = `${URLLIB}
context = ssl.create_default_context(cafile=CA)
context.verify_flags |= ssl.VERIFY_X509_STRICT
print(opener(context).open(HTTPS + "/strict").read().decode())`;

describeClient('urllib', () => {
  it('C-04 accepts leaf and CA with VERIFY_X509_STRICT', async () => {
    const town = await startTapped();
    expect(await python(town, STRICT)).toEqual(['GET /strict []']);
  });

  const newer = strictPython();
  if (newer === undefined) process.stderr.write('absent, not tried: Python 3.13 or newer\n');

  it.runIf(newer !== undefined)('C-04 is content in Python 3.13, which is strict by default', async () => {
    const town = await startTapped({ upstreams: 1 });
    const code = `${URLLIB}
context = ssl.create_default_context(cafile=CA)
print(bool(context.verify_flags & ssl.VERIFY_X509_STRICT), sys.version_info >= (3, 13))
print(opener(context).open(HTTPS + "/strict").read().decode())`;
    expect(await python(town, code, { python: newer ?? '' })).toEqual(['True True', 'GET /strict []']);
  });

  it('C-05 goes on after a renewal with the old CA and with the new one, strictly', async () => {
    const town = await startTapped();
    const old = join(town.folder, 'old.crt');
    copyFileSync(town.caFile, old);
    expect(await runCa(['renew'], dirname(town.caFile), () => {})).toBe(0);
    town.proxy.app.authority.reload();
    for (const caFile of [town.caFile, old])
      expect(await python({ ...town, caFile }, STRICT)).toEqual(['GET /strict []']);
  });

  it('T-05 finds proxy and CA in the environment', async () => {
    const town = await startTapped();
    const env = { SSL_CERT_FILE: town.caFile, https_proxy: `http://${town.key}:unused@${town.tap.address}` };
    const code = 'import urllib.request\nprint(urllib.request.urlopen(HTTPS + "/env").read().decode())';
    expect(await python(town, code, { env })).toEqual(['GET /env []']);
    expect(town.tap.heads[0]?.[0]).toMatch(/^CONNECT \S+ HTTP\/1\.[01]\r\n/);
  });

  it('U-01 sends no key when its password is empty: any other password does', async () => {
    const town = await startTapped();
    const code = `
import urllib.request
for password in ["", "unused"]:
    proxy = PROXY.replace(":@", ":" + password + "@")
    try:
        print(urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy})).open(HTTP).status)
    except urllib.error.HTTPError as error:
        print(error.code, error.headers["X-Crawlera-Error"])`;
    expect(await python(town, code)).toEqual(['407 bad_auth', '200']);
    expect(town.tap.heads.flat()[0]).not.toMatch(/^proxy-authorization/im);
  });

  it.each(SCHEMES)('H-05 S-01 S-03 posts an %s form in a session', async (scheme) => {
    const town = await startTapped({ upstreams: 3 });
    const code = `${URLLIB}
def post(session):
    request = urllib.request.Request(${scheme.toUpperCase()} + "/form", data=b"a=1&b=two", headers={"X-Crawlera-Session": session})
    with opener(ssl.create_default_context(cafile=CA)).open(request) as response:
        print(response.read().decode())
        return response.headers["X-Crawlera-Session"]
first = post("create")
print(post(first) == first, len(first) >= 7)`;
    const lines = await python(town, code);
    expect(lines).toEqual(['POST /form [a=1&b=two]', 'POST /form [a=1&b=two]', 'True True']);
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });
});

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
