/** The listener that speaks TLS to the client (T-21): the same proxy, the same answers, a certificate for its own names. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { Duplex } from 'node:stream';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { renewCa } from '../../src/inbound/authority.ts';
import { AUTH, basic, type Line, lineOn, openLine } from '../support/client.ts';
import { answerOf } from '../support/h2-client.ts';
import { reply } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { makeH2Stage, PLAIN } from './http2-kit.ts';
import { gate, statusesIn } from './transport-kit.ts';

vi.setConfig({ testTimeout: 20_000 });

const LISTEN = 'listen: { tls: { port: 0 }, names: [proxy.example], http2: true }';
const stage = makeH2Stage({ listen: LISTEN });
const tlsPort = (proxy: RunningProxy = stage.proxy): number => proxy.app.tlsAddress?.port ?? 0;

type SecureLine = Line & { readonly socket: TLSSocket };

/** Trusts nothing but the proxy's own CA. */
const open = async (options: object = {}, proxy: RunningProxy = stage.proxy): Promise<SecureLine> => {
  const socket = connectTls({ port: tlsPort(proxy), host: '127.0.0.1', ca: proxy.caPem, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return lineOn(socket) as SecureLine;
};

/** TLS, or a tunnel's plain inside, over a line that has said CONNECT. */
const tunnel = async (authority: string, line?: SecureLine, alpn: readonly string[] = []): Promise<SecureLine> => {
  const outer = line ?? (await open());
  const answer = await outer.ask(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}\r\n`);
  expect(answer.raw).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
  outer.socket.removeAllListeners('data');
  const host = authority.replace(/:\d+$/, '');
  const socket = connectTls({
    socket: outer.socket,
    ca: stage.proxy.caPem,
    servername: host,
    ALPNProtocols: [...alpn],
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return lineOn(socket) as SecureLine;
};

const target = (path = '/'): string => `GET https://${stage.authority}${path} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`;

describe('the certificate', () => {
  it.each(['localhost', '127.0.0.1', '::1', 'proxy.example', hostname()])('C-03 T-21 is for %s', async (name) => {
    const { socket } = await open({ servername: 'localhost' });
    expect(checkServerIdentity(name, socket.getPeerCertificate())).toBeUndefined();
  });

  it('T-21 is the same whatever name is asked for: nobody has one made for a name that is not ours', async () => {
    const of = async (servername: string): Promise<string> =>
      (await open({ servername, checkServerIdentity: () => undefined })).socket.getPeerCertificate().fingerprint256;
    const own = await of('localhost');
    for (const name of ['bank.example', 'proxy.example', 'a.localhost']) expect(await of(name)).toBe(own);
    expect((await open({ servername: 'bank.example' }).catch((error: Error) => error.message)) as string).toMatch(
      /altnames/,
    );
  });

  it('T-08 offers http/1.1 and no h2, where tunnels do offer it', async () => {
    expect((await open({ ALPNProtocols: ['h2', 'http/1.1'] })).socket.alpnProtocol).toBe('http/1.1');
    const inside = await tunnel(stage.authority, undefined, ['h2', 'http/1.1']);
    expect(inside.socket.alpnProtocol).toBe('h2');
  });

  it('robustness E09 takes no TLS below 1.2', async () => {
    await expect(open({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
    expect((await open({ maxVersion: 'TLSv1.2' })).socket.getProtocol()).toBe('TLSv1.2');
  });
});

describe('over TLS to the proxy', () => {
  it('T-02 T-03 T-20 absolute-form requests are fetched, one after the other on one connection', async () => {
    const line = await open();
    for (const path of ['/a', '/b']) expect((await line.ask(target(path))).body).toBe('hello');
    expect(stage.origin.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/a', '/b']);
  });

  it('T-04 T-07 a tunnel carries TLS in TLS, and what is asked inside', async () => {
    const inside = await tunnel(stage.authority);
    stage.origin.fallback = [reply('x'.repeat(500_000))];
    for (const path of ['/1', '/2']) {
      const answer = await inside.ask(`GET ${path} HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`);
      expect([answer.status, answer.body.length]).toEqual([200, 500_000]);
    }
    const upload = 'y'.repeat(300_000);
    await inside.ask(
      `POST / HTTP/1.1\r\nHost: ${stage.authority}\r\nContent-Length: ${upload.length}\r\n\r\n${upload}`,
    );
    expect(stage.origin.requests.at(-1)?.body).toBe(upload);
  });

  it('T-08 a tunnel speaks HTTP/2 in TLS in TLS', async () => {
    const { socket } = await tunnel(stage.authority, undefined, ['h2']);
    socket.removeAllListeners('data');
    const client = connectH2(`https://${stage.authority}`, { createConnection: () => socket });
    const answers = Array.from({ length: 20 }, (_, i) => answerOf(client.request({ ...PLAIN, ':path': `/${i}` })));
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(Array(20).fill('hello'));
    client.destroy();
  });

  it('T-01 U-02 U-08 direct endpoints answer, and refuse who has no key', async () => {
    const line = await open();
    const made = await line.ask(`POST /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
    expect(made.status).toBe(200);
    const refused = await line.ask('GET /sessions HTTP/1.1\r\nHost: x\r\n\r\n');
    expect([refused.status, refused.header('Proxy-Authenticate')]).toEqual([407, 'Basic realm="Crawlera"']);
    const url = encodeURIComponent(`https://${stage.authority}/f`);
    expect(
      (await line.ask(`GET /fetch?url=${url} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`)).body,
    ).toBe('hello');
  });

  it('U-05 a CONNECT without key gets its challenge, and the connection another try', async () => {
    const line = await open();
    const refused = await line.ask(`CONNECT ${stage.authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect([refused.status, refused.header('Proxy-Authenticate')]).toEqual([407, 'Basic realm="Crawlera"']);
    const inside = await tunnel(stage.authority, line);
    expect((await inside.ask(`GET / HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`)).body).toBe('hello');
  });

  it('T-11 robustness A01 G04 answers what is too large or no request, and closes', async () => {
    const large = await open();
    large.write(`GET https://${stage.authority}/ HTTP/1.1\r\nX: ${'x'.repeat(110_000)}\r\n\r\n`);
    expect((await large.read()).status).toBe(413);
    const garbage = await open();
    garbage.write('no request\r\n\r\n');
    expect((await garbage.read()).status).toBe(400);
    await Promise.all([large.closed, garbage.closed]);
  });

  it('robustness G08 T-19 a client that leaves ends its request', async () => {
    stage.origin.enqueue('hang');
    const line = await open();
    line.write(target('/held'));
    await until(() => stage.origin.requests.length === 1);
    const receipt = stage.proxy.nextReceipt();
    line.socket.destroy();
    expect((await receipt).outcome).toBe('gone');
  });
});

describe('the proxy itself as target', () => {
  it('T-14 is answered as direct endpoint on either port, asked through either', async () => {
    const ports = [stage.proxy.port, tlsPort()];
    for (const from of [await open(), await openLine(stage.proxy.port)]) {
      for (const port of ports) {
        const answer = await from.ask(`GET http://127.0.0.1:${port}/sessions HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
        expect([answer.status, answer.body.slice(0, 1)]).toEqual([200, '{']);
      }
      from.socket.destroy();
    }
    const inside = await tunnel(`localhost:${tlsPort()}`);
    expect((await inside.ask('GET /sessions HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(200);
  });

  it('robustness D05 is reached by no other name', async () => {
    const line = await open();
    const answer = await line.ask(
      `GET https://by.localhost:${tlsPort()}/sessions HTTP/1.1\r\nHost: x\r\n${AUTH}X-Crawlera-Max-Retries: 0\r\n\r\n`,
    );
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([523, 'domain_forbidden']);
  });
});

describe('clients that do not do what the port is for', () => {
  it('bytes that are no TLS are answered 400 and the connection is closed', async () => {
    const line = await openLine(tlsPort());
    const answer = await line.ask(target().replace('https', 'http'));
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([400, 'invalid_request']);
    await line.closed;
    expect(stage.origin.requests).toEqual([]);
  });

  it('robustness E05 a ClientHello that comes byte by byte is understood', async () => {
    const raw = connect(tlsPort(), '127.0.0.1');
    raw.setNoDelay(true);
    onTestFinished(() => void raw.destroy());
    const slow = new Duplex({
      read() {},
      write: (bytes: Buffer, _encoding, done) => {
        for (const byte of bytes) raw.write(Buffer.of(byte));
        done();
      },
    });
    raw.on('data', (chunk: Buffer) => slow.push(chunk));
    const socket = connectTls({ socket: slow, ca: stage.proxy.caPem, servername: 'localhost' });
    await once(socket, 'secureConnect');
    expect((await lineOn(socket).ask(target())).status).toBe(200);
  });

  it('those that leave in the middle of the handshake leave nothing behind', async () => {
    for (const bytes of ['', '\x16', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\x16\x03\x01\x00\x02xx']) {
      const socket = connect(tlsPort(), '127.0.0.1', () => socket.end(Buffer.from(bytes, 'latin1')));
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'close');
    }
    expect((await (await open()).ask(target())).status).toBe(200);
  });
});

describe('in the course of time', () => {
  it('robustness E10 C-07 a renewed CA counts for connections from then on, open ones go on', async () => {
    const proxy = await startProxy(LISTEN);
    onTestFinished(() => proxy.close());
    const before = await open({}, proxy);
    renewCa(`${proxy.folder}/certs`, Date.now());
    proxy.reload(LISTEN);
    const ask = (line: Line) => line.ask(`GET /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
    expect((await ask(before)).status).toBe(200);
    const after = await open({ ca: proxy.app.authority.certificatePem, servername: 'localhost' }, proxy);
    expect((await ask(after)).status).toBe(200);
    expect(after.socket.getPeerCertificate().fingerprint256).not.toBe(
      before.socket.getPeerCertificate().fingerprint256,
    );
  });

  it('a reload with further names has them in the certificate', async () => {
    const proxy = await startProxy(LISTEN);
    onTestFinished(() => proxy.close());
    proxy.reload(LISTEN.replace('proxy.example', 'proxy.example, other.example'));
    const { socket } = await open({ servername: 'other.example' }, proxy);
    expect(socket.authorized).toBe(true);
  });

  it('robustness G13 a shutdown ends handshakes and idle connections, and lets a running request finish', async () => {
    const proxy = await startProxy(`${LISTEN}\ntimeouts: { drain: 10s }\n`);
    const idle = await open({}, proxy);
    const half = await openLine(tlsPort(proxy));
    half.write('\x16');
    const held = gate();
    const slow = createServer((_request, response) => void held.passed.then(() => response.end('late')));
    slow.listen(0, '127.0.0.1');
    await once(slow, 'listening');
    onTestFinished(() => void slow.close());
    const { port } = slow.address() as { port: number };
    const busy = await open({}, proxy);
    const asked = once(slow, 'request');
    busy.write(`GET http://shop.localhost:${port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    await asked;
    const closing = proxy.close();
    await Promise.all([idle.closed, half.closed]);
    await expect(open({}, proxy)).rejects.toThrow();
    held.open();
    const answer = await busy.read();
    expect([answer.status, answer.body, answer.header('Connection')]).toEqual([200, 'late', 'close']);
    await closing;
    expect(proxy.bugs).toEqual([]);
  });

  it('T-20 answers pipelined requests in order', async () => {
    const line = await open();
    line.write(target('/1') + target('/2') + target('/3'));
    await until(() => statusesIn(line.rest()).length === 3);
    expect(stage.origin.requests).toHaveLength(3);
  });

  it('a TLS port in use is said', async () => {
    await expect(startProxy(`listen: { tls: { port: ${stage.proxy.port} } }`)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port: stage.proxy.port,
    });
  });
});
