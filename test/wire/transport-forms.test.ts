/** Section 1 of the contract: the forms in which a request may arrive, and what comes back for each. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { AUTH, basic, call, get, openSecure, openTunnel } from '../support/client.ts';
import { makeOrigin, type Origin, reply } from '../support/origin.ts';
import { KEY } from '../support/proxy.ts';
import { headFor, makeLines, makeStage } from './transport-kit.ts';

const folder = mkdtempSync(join(tmpdir(), 'crawlgate-forms-'));
const authority = makeAuthority();
writeFileSync(join(folder, 'roots.pem'), authority.cert);

const stage = makeStage({
  yaml: () =>
    `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${join(folder, 'roots.pem')} }`,
});
const line = makeLines();
let secure: Origin;

beforeAll(async () => {
  secure = await makeOrigin({ certificate: authority.issue({ hosts: ['shop.localhost'] }) });
});
afterAll(async () => {
  await secure.close();
  rmSync(folder, { recursive: true });
});

const DESKTOP = 'X-Crawlera-UA: pass\r\n';

describe('request forms', () => {
  it('T-01 serves proxy traffic and the direct endpoints on one port', async () => {
    expect((await get(stage.proxy, `${stage.site}/`)).body).toBe('hello');
    expect((await call(stage.proxy, 'GET', '/sessions')).body).toBe('{}');
    expect((await call(stage.proxy, 'GET', `/fetch?url=${encodeURIComponent(`${stage.site}/f`)}`)).body).toBe('hello');
    expect(stage.origin.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/', '/f']);
  });

  it('T-02 fetches an absolute http URL over plain HTTP, in origin form', async () => {
    const answer = await get(stage.proxy, `${stage.site}/a/b?c=%20d&e`, DESKTOP);
    expect(answer.status).toBe(200);
    expect(stage.origin.requests).toHaveLength(1);
    expect(stage.origin.requests[0]?.head).toBe(`GET /a/b?c=%20d&e HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`);
  });

  it('T-03 fetches an absolute https URL over TLS without CONNECT', async () => {
    const answer = await get(stage.proxy, `https://shop.localhost:${secure.port}/?noconnect`);
    expect([answer.status, answer.body]).toEqual([200, 'hello']);
    expect(secure.requests.at(-1)).toMatchObject({ servername: 'shop.localhost' });
    expect(secure.requests.at(-1)?.head).toMatch(/^GET \/\?noconnect HTTP\/1\.1\r\n/);
  });

  it('T-12 tolerates an absolute-form request without Host', async () => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET ${stage.site}/ HTTP/1.1\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(200);
    expect(stage.origin.requests[0]?.head).toContain(`\r\nHost: ${stage.authority}\r\n`);
  });

  it('T-13 sends a POST without body and length on, as one of no bytes', async () => {
    const answer = await get(stage.proxy, `${stage.site}/`, '', 'POST');
    expect(answer.status).toBe(200);
    expect(stage.origin.requests[0]?.head).toMatch(/^POST \/ HTTP\/1\.1\r\n[\s\S]*\r\nContent-Length: 0\r\n/);
  });

  it('T-15 does not follow redirects', async () => {
    stage.origin.enqueue('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n');
    const answer = await get(stage.proxy, `${stage.site}/`);
    expect([answer.status, answer.header('Location')]).toEqual([302, '/elsewhere']);
    expect(stage.origin.requests).toHaveLength(1);
  });

  it.each([
    ['a length', (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`],
    [
      'chunks',
      (body: string) =>
        `Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n${body.slice(0, 3)}\r\n${(body.length - 3).toString(16)}\r\n${body.slice(3)}\r\n0\r\n\r\n`,
    ],
    ['the end of the connection', (body: string) => `Connection: close\r\n\r\n${body}`],
  ])('T-16 hands status, body bytes and Content-Encoding on unchanged, framed by %s', async (_how, framed) => {
    const body = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code));
    stage.origin.enqueue(`HTTP/1.1 203 Very Special\r\nContent-Encoding: x-own\r\n${framed(body)}`, 'close');
    const answer = await get(stage.proxy, `${stage.site}/`);
    expect([answer.status, answer.reason, answer.header('Content-Encoding')]).toEqual([203, 'Very Special', 'x-own']);
    expect(answer.body).toBe(body);
    expect(answer.complete).toBe(true);
  });
});

describe('the proxy itself as target', () => {
  const AUTHORIZATION = `Authorization: ${basic(KEY)}\r\n`;

  it.each([
    ['Proxy-Authorization', AUTH],
    ['Authorization', AUTHORIZATION],
  ])('T-14 answers an absolute-form /sessions with %s as endpoint', async (_name, lines) => {
    for (const name of ['127.0.0.1', 'localhost', 'LOCALHOST.', '[::1]', '127.1']) {
      const client = await line(stage.proxy.port);
      const url = `http://${name}:${stage.proxy.port}/sessions`;
      const answer = await client.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`);
      expect([name, answer.status, answer.body]).toEqual([name, 200, '{}']);
    }
  });

  it('T-14 makes and ends a session in absolute form', async () => {
    const at = `http://127.0.0.1:${stage.proxy.port}/sessions`;
    const made = await get(stage.proxy, at, '', 'POST');
    expect(made.status).toBe(200);
    expect((await get(stage.proxy, at)).body).toContain(made.body);
    expect((await get(stage.proxy, `${at}/${made.body}`, '', 'DELETE')).status).toBe(204);
  });

  it('T-14 asks for a key there too', async () => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET http://127.0.0.1:${stage.proxy.port}/sessions HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(answer.status).toBe(407);
  });

  it.each(['plain', 'TLS'])('T-14 opens CONNECT to itself as endpoint, %s inside', async (how) => {
    const own = `127.0.0.1:${stage.proxy.port}`;
    const inside = await (how === 'TLS' ? openSecure : openTunnel)(stage.proxy, own);
    const answer = await inside.ask(`GET /sessions HTTP/1.1\r\nHost: ${own}\r\n\r\n`);
    expect([answer.status, answer.body]).toEqual([200, '{}']);
    expect((await inside.ask(`GET /nothing HTTP/1.1\r\nHost: ${own}\r\n\r\n`)).status).toBe(404);
    inside.socket.destroy();
  });

  it('T-14 is not called through itself from a tunnel (robustness D06)', async () => {
    const own = `127.0.0.1:${stage.proxy.port}`;
    const inside = await openTunnel(stage.proxy, own);
    const answer = await inside.ask(`CONNECT ${own} HTTP/1.1\r\nHost: ${own}\r\n${AUTH}\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([400, 'invalid_request']);
    await inside.closed;
  });
});

describe('upgrades', () => {
  const WEBSOCKET =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

  it('T-18 authenticates a WebSocket handshake first', async () => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${WEBSOCKET}\r\n`);
    expect(answer.status).toBe(407);
  });

  it("T-18 does not take up curl's h2c offer", async () => {
    const lines = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';
    const answer = await get(stage.proxy, `${stage.site}/`, lines);
    expect(answer.status).toBe(200);
    expect(stage.origin.requests[0]?.head).not.toMatch(/upgrade|http2-settings|connection/i);
  });
});

describe('keep-alive', () => {
  it('T-20 keeps the connection after an answer and says so by leaving it open', async () => {
    const client = await line(stage.proxy.port);
    for (let i = 0; i < 3; i++) expect((await client.ask(headFor(stage, `/${i}`))).status).toBe(200);
    expect(stage.origin.requests).toHaveLength(3);
  });

  it('T-20 keeps it after a 407, with and without a body behind the refused request', async () => {
    const client = await line(stage.proxy.port);
    const refused = `POST ${stage.site}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`;
    for (const text of [`GET ${stage.site}/ HTTP/1.1\r\nHost: x\r\n\r\n`, refused]) {
      const answer = await client.ask(text);
      expect([answer.status, answer.header('Connection')]).not.toContain('close');
      expect(answer.status).toBe(407);
    }
    expect((await client.ask(headFor(stage))).status).toBe(200);
  });

  it('T-20 keeps it after a 407 to CONNECT, as often as it takes', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on('warning', note);
    const client = await line(stage.proxy.port);
    for (let i = 0; i < 25; i++) {
      const answer = await client.ask(`CONNECT ${stage.authority} HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`);
      expect([answer.status, answer.header('Proxy-Authenticate')]).toEqual([407, 'Basic realm="Crawlera"']);
      expect(answer.header('Connection')).toBeUndefined();
    }
    expect((await client.ask(`CONNECT ${stage.authority} HTTP/1.1\r\n${AUTH}\r\n`)).status).toBe(200);
    expect((await client.ask(`GET /in HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`)).body).toBe('hello');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it.each([
    ['asked to by the client', `GET SITE/ HTTP/1.1\r\nHost: x\r\n${AUTH}Connection: close\r\n\r\n`],
    ['for an HTTP/1.0 client', `GET SITE/ HTTP/1.0\r\n${AUTH}\r\n`],
    ['after a malformed request', `GET SITE/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n${AUTH}\r\n`],
    ['after bytes that are no request', 'nonsense\r\n\r\n'],
  ])('T-20 announces the end in both ways when it closes %s', async (_when, text) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(text.replace('SITE', stage.site));
    expect([answer.header('Connection'), answer.header('Proxy-Connection')]).toEqual(['close', 'close']);
    await client.closed;
  });

  it("robustness A14 awaits no body after HEAD, 204 and 304 and serves the client's next request", async () => {
    const client = await line(stage.proxy.port);
    stage.origin.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n');
    client.write(headFor(stage, '/head', '', 'HEAD'));
    const head = await client.read('HEAD');
    expect([head.status, head.header('Content-Length')]).toEqual([200, '999']);
    stage.origin.enqueue('HTTP/1.1 204 No Content\r\n\r\n');
    expect((await client.ask(headFor(stage, '/204'))).status).toBe(204);
    stage.origin.enqueue('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 12\r\n\r\n');
    const unchanged = await client.ask(headFor(stage, '/304'));
    expect([unchanged.status, unchanged.header('ETag')]).toEqual([304, '"x"']);
    expect((await client.ask(headFor(stage, '/last'))).body).toBe('hello');
    expect(client.rest()).toBe('');
    expect(stage.origin.requests.map(({ head: sent }) => sent.split(' ', 2).join(' '))).toEqual([
      'HEAD /head',
      'GET /204',
      'GET /304',
      'GET /last',
    ]);
  });

  it('robustness A14 answers HEAD pipelined before GET', async () => {
    const client = await line(stage.proxy.port);
    stage.origin.enqueue(reply('').replace('Content-Length: 0', 'Content-Length: 5'));
    client.write(headFor(stage, '/a', '', 'HEAD') + headFor(stage, '/b'));
    expect((await client.read('HEAD')).header('Content-Length')).toBe('5');
    expect((await client.read()).body).toBe('hello');
  });
});

describe('answers of the proxy', () => {
  it('T-09 spells its own header names in their canonical case', async () => {
    const answer = await get(stage.proxy, `${stage.site}/`, 'X-Crawlera-Session: create\r\n');
    const names = answer.headers.map(([name]) => name).filter((name) => /crawlera/i.test(name));
    expect(names).toEqual(['X-Crawlera-Version', 'X-Crawlera-Slave', 'X-Crawlera-Session']);
  });
});
