/** urllib beyond the example: strict verification, a renewed CA, environment variables, forms in a session. */
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { expectNothingOfOurs, used } from './command-support.ts';
import { describeClient } from './kit.ts';
import { startTapped } from './languages.ts';
import { python, strictPython } from './python-support.ts';

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
