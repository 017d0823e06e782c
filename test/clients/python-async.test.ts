/** httpx and aiohttp beyond the examples: strict verification, environment variables, bodies, sessions, kept connections. */
import { expect, it } from 'vitest';
import { expectNothingOfOurs, used } from './command-support.ts';
import { describeClient } from './kit.ts';
import { startTapped } from './languages.ts';
import { proxyEnv, python } from './python-support.ts';

const SCHEMES = ['http', 'https'] as const;

describeClient('httpx', () => {
  it.each(SCHEMES)('H-05 S-01 T-20 posts to %s pages in a session on one connection', async (scheme) => {
    const town = await startTapped({ upstreams: 3 });
    const code = `
import httpx
context = ssl.create_default_context(cafile=CA)
context.verify_flags |= ssl.VERIFY_X509_STRICT
with httpx.Client(transport=httpx.HTTPTransport(proxy=httpx.Proxy(PROXY), verify=context)) as client:
    client.headers["X-Crawlera-Session"] = "create"
    for body in [{"data": {"a": "1"}}, {"json": {"a": 1}}, {"content": iter([b"part0 ", b"part1"])}]:
        answer = client.post(${scheme.toUpperCase()}, **body)
        print(answer.text)
        client.headers["X-Crawlera-Session"] = answer.headers["X-Crawlera-Session"]`;
    const lines = await python(town, code);
    expect(lines.map((line) => line.replace(/\s(?=1)/, ''))).toEqual([
      'POST / [a=1]',
      'POST / [{"a":1}]',
      'POST / [part0 part1]',
    ]);
    expect(town.tap.heads).toHaveLength(1);
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });

  it('H-05 finds proxy and CA in the environment', async () => {
    const town = await startTapped();
    const env = { ...proxyEnv(town), SSL_CERT_FILE: town.caFile };
    const code = 'import httpx\nfor url in [HTTP, HTTPS]: print(httpx.get(url).text)';
    expect(await python(town, code, { env })).toEqual(['GET / []', 'GET / []']);
    expect(town.tap.heads).toHaveLength(2);
  });
});

const AIOHTTP = `
import asyncio, aiohttp
context = ssl.create_default_context(cafile=CA)
context.verify_flags |= ssl.VERIFY_X509_STRICT
`;

describeClient('aiohttp', () => {
  it.each(SCHEMES)('H-05 S-01 posts to %s pages in a session, its key given apart', async (scheme) => {
    const town = await startTapped({ upstreams: 3 });
    const code = `${AIOHTTP}
KEY, ADDRESS = PROXY[7:].split(":@")
async def main():
    means = {"proxy": "http://" + ADDRESS, "proxy_auth": aiohttp.BasicAuth(KEY, ""), "ssl": context}
    session = "create"
    async with aiohttp.ClientSession() as client:
        for body in [{"data": {"a": "1"}}, {"json": {"a": 1}}]:
            async with client.post(${scheme.toUpperCase()}, headers={"X-Crawlera-Session": session}, **body, **means) as answer:
                print(await answer.text())
                session = answer.headers["X-Crawlera-Session"]
asyncio.run(main())`;
    expect(await python(town, code)).toEqual(['POST / [a=1]', 'POST / [{"a": 1}]']);
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });

  it.each([
    ['HTTPS', 1],
    // It closes connections to a proxy itself where it asks for http pages.
    ['HTTP', 3],
  ])('T-20 fetches three pages of %s through %i tunnel or connections', async (base, connections) => {
    const town = await startTapped();
    const code = `${AIOHTTP}
async def main():
    async with aiohttp.ClientSession() as client:
        for path in ["/a", "/b", "/c"]:
            async with client.get(${base} + path, proxy=PROXY, ssl=context) as answer:
                print(await answer.text())
asyncio.run(main())`;
    expect(await python(town, code)).toEqual(['GET /a []', 'GET /b []', 'GET /c []']);
    expect(town.tap.heads).toHaveLength(connections);
  });

  it('H-05 finds proxy and CA in the environment with trust_env', async () => {
    const town = await startTapped();
    const env = { ...proxyEnv(town), SSL_CERT_FILE: town.caFile };
    const code = `
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession(trust_env=True) as client:
        for url in [HTTP, HTTPS]:
            async with client.get(url) as answer: print(await answer.text())
asyncio.run(main())`;
    expect(await python(town, code, { env })).toEqual(['GET / []', 'GET / []']);
    expect(town.tap.heads).toHaveLength(2);
  });
});
