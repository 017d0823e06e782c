/** Ban rules about bodies over real sockets: what is caught never arrives, what is good arrives as it was sent. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/pipeline/ports.ts';
import { AUTH, get, openLine, openSecure } from '../support/client.ts';
import type { Act } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { expectRefusal, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const BLOCK =
  '<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your administrator.</body></html>';
const GOOD = '<html><head><title>Shoes</title></head><body>The requested shoes</body></html>';

const page = (body: string | Buffer, more = '', status = '200 OK'): Buffer => {
  const bytes = Buffer.from(body);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/html\r\nContent-Length: ${bytes.length}\r\n${more}\r\n`;
  return Buffer.concat([Buffer.from(head), bytes]);
};

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const CHUNKED = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n';

const outcomesOf = (receipt: Receipt | undefined): string[] => receipt?.attempts.map((one) => one.outcome) ?? [];

/** Two upstreams in front of a target that does this, request by request; the last script stays. */
const scene = async (...scripts: (readonly Act[])[]) => {
  const origin = await kit.origin();
  for (const script of scripts.slice(0, -1)) origin.enqueue(...script);
  origin.fallback = scripts.at(-1) ?? [];
  const proxy = await kit.proxy('', await kit.upstreams(2));
  return { origin, proxy, url: `http://shop.localhost:${origin.port}/` };
};

describe('a page that blocks', () => {
  it('A-08 A-09 robustness H06 is tried again through another upstream and never delivered', async () => {
    const { proxy, url } = await scene([page(BLOCK)], [page(GOOD)]);
    const answer = await get(proxy, url, 'X-Crawlera-Debug: attempts\r\n');
    expect(answer).toMatchObject({ status: 200, body: GOOD });
    expect(answer.raw).not.toContain('rejected');
    expect(answer.header('X-Crawlera-Debug-Attempts')).toMatch(/^\S+=f5-asm, \S+=fine$/);
    const [receipt] = proxy.receipts;
    expect(outcomesOf(receipt)).toEqual(['f5-asm', 'fine']);
    expect(new Set(receipt?.attempts.map(({ exit }) => exit)).size).toBe(2);
  });

  it('A-10 ends as our 503 when every upstream gets it', async () => {
    const { proxy, url } = await scene([page(BLOCK)]);
    const answer = await get(proxy, url);
    expectRefusal(answer, 'slavebanned');
    expect(answer.raw).not.toContain('rejected');
    expect(proxy.receipts).toMatchObject([{ outcome: 'slavebanned', reason: 'f5-asm' }]);
  });

  it.each<[coding: string, pack: (text: string) => Buffer]>([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('A-08 is recognised in %s', async (coding, pack) => {
    const { proxy, url } = await scene([page(pack(BLOCK), `Content-Encoding: ${coding}\r\n`)], [page(GOOD)]);
    expect(await get(proxy, url)).toMatchObject({ status: 200, body: GOOD });
    expect(outcomesOf(proxy.receipts[0])).toEqual(['f5-asm', 'fine']);
  });

  it('A-08 is recognised in chunks and pieces, and where only the close of the connection ends it', async () => {
    const halves = [BLOCK.slice(0, 80), BLOCK.slice(80)] as const;
    const chunked: Act[] = [CHUNKED, chunk(halves[0]), { wait: 5 }, chunk(halves[1]), '0\r\n\r\n'];
    const closed: Act[] = [
      'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n',
      halves[0],
      { wait: 5 },
      halves[1],
      'close',
    ];
    const { proxy, url } = await scene(chunked, [page(GOOD)], closed, [page(GOOD)]);
    expect((await get(proxy, url)).body).toBe(GOOD);
    expect((await get(proxy, url.replace('shop', 'other'))).body).toBe(GOOD);
    expect(proxy.receipts.map(outcomesOf)).toEqual(Array(2).fill(['f5-asm', 'fine']));
  });

  it('A-08 is recognised inside a TLS tunnel', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    origin.enqueue(page(BLOCK));
    origin.fallback = [page(GOOD)];
    const yaml = `targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535], extraRoots: ${kit.rootsFile} }`;
    const proxy = await kit.proxy(yaml, await kit.upstreams(2));
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    expect((await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n')).body).toBe(GOOD);
    line.socket.destroy();
    expect(outcomesOf(proxy.receipts[0])).toEqual(['f5-asm', 'fine']);
  });

  it('A-05 A-08 is tried again after a POST, with its whole body', async () => {
    const { proxy, url, origin } = await scene([page(BLOCK)], [page(GOOD)]);
    const line = await openLine(proxy.port);
    const host = new URL(url).host;
    const answer = await line.ask(`POST ${url} HTTP/1.1\r\nHost: ${host}\r\n${AUTH}Content-Length: 6\r\n\r\nsizes!`);
    expect(answer.body).toBe(GOOD);
    line.socket.destroy();
    expect(origin.requests.map(({ body }) => body)).toEqual(['sizes!', 'sizes!']);
  });

  it('H-25 A-10 robustness H06 is delivered byte by byte without ban check', async () => {
    const packed = gzipSync(BLOCK);
    const { proxy, url } = await scene([page(packed, 'Content-Encoding: gzip\r\nX-Odd:  two \r\n')]);
    const answer = await get(proxy, url, 'X-Crawlera-No-Bancheck: 1\r\n');
    expect(answer).toMatchObject({ status: 200, body: packed.toString('latin1') });
    expect(answer.header('Content-Encoding')).toBe('gzip');
    expect(answer.header('X-Crawlera-Error')).toBeUndefined();
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok', attempts: [{ outcome: 'fine' }] }]);
  });

  it('A-08 is a redirect, seen from the request', async () => {
    const away = 'HTTP/1.1 302 Found\r\nLocation: /captcha?back=x\r\nContent-Length: 0\r\n\r\n';
    const { proxy, url } = await scene([away], [page(GOOD)]);
    expect((await get(proxy, url)).body).toBe(GOOD);
    expect(outcomesOf(proxy.receipts[0])).toEqual(['captcha-redirect', 'fine']);
  });
});

describe('a page that does not', () => {
  it.each<[name: string, response: Buffer, body: Buffer]>([
    ['plain', page(GOOD), Buffer.from(GOOD)],
    ['packed', page(gzipSync(GOOD), 'Content-Encoding: gzip\r\n'), gzipSync(GOOD)],
    ['in a coding that is broken', page('no gzip at all', 'Content-Encoding: gzip\r\n'), Buffer.from('no gzip at all')],
    ['in a coding unknown here', page('who knows', 'Content-Encoding: dcz\r\n'), Buffer.from('who knows')],
    ['longer than what is looked at', page(GOOD.repeat(3_000)), Buffer.from(GOOD.repeat(3_000))],
    ['an error with a long page', page(`${GOOD.repeat(2_000)}`, '', '404 Not Found'), Buffer.from(GOOD.repeat(2_000))],
  ])('A-11 arrives as it was sent: %s', async (_name, response, body) => {
    const { proxy, url } = await scene([response]);
    const answer = await get(proxy, url);
    expect(Buffer.from(answer.body, 'latin1').equals(body)).toBe(true);
    expect(answer.header('Content-Length')).toBe(String(body.length));
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok', bytes: body.length, attempts: [{ outcome: 'fine' }] }]);
  });

  it('A-11 flows before it is complete once no rule left can be about it', async () => {
    let goOn: (value: unknown) => void = () => undefined;
    const arrived = new Promise((resolve) => {
      goOn = resolve;
    });
    const part = GOOD.repeat(1_500);
    const { proxy, url } = await scene([CHUNKED, chunk(part), { until: arrived }, chunk(part), '0\r\n\r\n']);
    const line = await openLine(proxy.port);
    line.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${AUTH}\r\n`);
    await until(() => line.rest().length > part.length, 'the first half');
    goOn(undefined);
    const answer = await line.read();
    line.socket.destroy();
    expect(answer.body === part + part).toBe(true);
  });

  it('A-08 is an answer to HEAD, judged by its head', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 120\r\n\r\n';
    const { proxy, url } = await scene([head], [head.replace('200 OK', '403 Forbidden')], [head]);
    expect(await get(proxy, url, '', 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await get(proxy, url, '', 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(proxy.receipts.map(outcomesOf)).toEqual([['fine'], ['status-403-html', 'fine']]);
  });

  it('A-08 a weak sign is noted and nothing else', async () => {
    const { proxy, url } = await scene([page('')]);
    expect(await get(proxy, url)).toMatchObject({ status: 200, body: '' });
    expect(proxy.receipts).toMatchObject([
      { outcome: 'ok', attempts: [{ outcome: 'fine', reason: 'suspect: empty-200-html' }] },
    ]);
  });
});

describe('a page that ends early', () => {
  it.each<[name: string, acts: Act[]]>([
    [
      'announced',
      ['HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100\r\n\r\nhalf', { wait: 5 }, 'close'],
    ],
    ['chunked', [CHUNKED, chunk('half'), { wait: 5 }, 'reset']],
  ])('A-02 E-10 is delivered as far as it came and cut, not tried again: %s', async (_name, acts) => {
    const { proxy, url, origin } = await scene(acts);
    expect(await get(proxy, url)).toMatchObject({ status: 200, body: 'half', complete: false });
    expect(origin.requests).toHaveLength(1);
    expect(proxy.receipts).toMatchObject([{ outcome: 'cut', attempts: [{ outcome: 'fine' }] }]);
  });

  it('A-08 is a ban if what came says so', async () => {
    const head = 'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n';
    const { proxy, url } = await scene(
      [`${head}<title>Attention Required! | Cloudflare</title>`, 'close'],
      [page(GOOD)],
    );
    expect((await get(proxy, url)).body).toBe(GOOD);
    expect(outcomesOf(proxy.receipts[0])).toEqual(['cf-attention', 'fine']);
  });

  it('T-19 robustness G08 leaves nothing behind when it is the client that goes', async () => {
    const { proxy, url, origin } = await scene([CHUNKED, chunk('half'), 'hang']);
    const line = await openLine(proxy.port);
    line.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${AUTH}\r\n`);
    await until(() => origin.requests.length === 1, 'the request');
    const receipt = proxy.nextReceipt();
    line.socket.destroy();
    expect(await receipt).toMatchObject({ outcome: 'gone', status: undefined });
    await until(() => origin.open.size === 0, 'the connection to the target to go');
  });
});
