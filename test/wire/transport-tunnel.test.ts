/** CONNECT and what comes after it: answered at once, opened by its first byte, TLS terminated (T-04 to T-08, T-10). */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { AUTH, type Line, lineOn, openTunnel } from '../support/client.ts';
import { everything, makeLines, makeStage, statusesIn } from './transport-kit.ts';

const stage = makeStage();
const line = makeLines();

const CONNECT = (authority: string, more = AUTH): string =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`;
const inner = (path = '/in'): string => `GET ${path} HTTP/1.1\r\nHost: ${stage.authority}\r\n\r\n`;

/** A socket that changes how bytes are written to the one below. */
const reshaped = (line: Line, write: (bytes: Buffer, done: () => void) => void): Duplex => {
  line.socket.removeAllListeners('data');
  const outer = new Duplex({
    read() {},
    write: (bytes: Buffer, _encoding, done) => write(bytes, done),
  });
  line.socket.on('data', (chunk: Buffer) => outer.push(chunk));
  line.socket.on('end', () => outer.push(null));
  return outer;
};

const secureOver = async (socket: Duplex, options: object = {}): Promise<TLSSocket> => {
  const secure = connectTls({ socket, ca: stage.proxy.caPem, host: 'shop.localhost', ...options });
  await once(secure, 'secureConnect');
  return secure;
};

describe('the answer to CONNECT', () => {
  it('T-04 is status 200 with an empty header block and not one byte more', async () => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(CONNECT(stage.authority));
    expect(answer.raw).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.rest()).toBe('');
  });

  it('T-05 comes for HTTP/1.0 without Host, and for HTTP/1.1 with nothing but credentials', async () => {
    for (const version of ['1.0', '1.1']) {
      const client = await line(stage.proxy.port);
      const answer = await client.ask(`CONNECT ${stage.authority} HTTP/${version}\r\n${AUTH}\r\n`);
      expect([version, answer.status]).toEqual([version, 200]);
      expect((await client.ask(inner())).body).toBe('hello');
    }
  });

  it('T-06 comes before any contact with the target', async () => {
    const before = stage.origin.accepted();
    const client = await line(stage.proxy.port);
    expect((await client.ask(CONNECT('no-such-name.invalid:443'))).status).toBe(200);
    expect(
      (
        await client.ask(
          CONNECT(stage.authority)
            .replace('CONNECT', 'GET')
            .replace(/GET \S+/, 'GET /'),
        )
      ).status,
    ).not.toBe(200);
    expect((await (await line(stage.proxy.port)).ask(CONNECT(stage.authority))).status).toBe(200);
    expect(stage.origin.accepted()).toBe(before);
  });

  it.each([
    ['a refused port', () => '127.0.0.1:1', 502, 'econnrefused'],
    ['a name that does not exist', () => 'no-such-name.invalid:80', 502, 'nxdomain'],
  ])('T-06 reports %s as a whole response inside the tunnel', async (_what, authority, status, code) => {
    const inside = await openTunnel(stage.proxy, authority());
    const answer = await inside.ask(`GET / HTTP/1.1\r\nHost: ${authority()}\r\nX-Crawlera-Max-Retries: 0\r\n\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Error'), answer.complete]).toEqual([status, code, true]);
    inside.socket.destroy();
  });

  it.each([
    ['a full URL', 'http://shop.localhost:443/'],
    ['no port', 'shop.localhost'],
    ['an empty port', 'shop.localhost:'],
    ['a port that is none', 'shop.localhost:70000'],
    ['user information', 'user:pass@shop.localhost:443'],
    ['a path', 'shop.localhost:443/x'],
    ['a bare IPv6 address', '::1:443'],
  ])('robustness A01 T-06 refuses CONNECT with %s: one 400, closed', async (_what, authority) => {
    const text = await everything(stage.proxy.port, CONNECT(authority));
    expect(statusesIn(text)).toEqual([400]);
    expect(text).toContain('X-Crawlera-Error: invalid_request\r\n');
    expect(text).toContain('Connection: close\r\n');
  });

  it.each([
    ['Content-Length', `Content-Length: 5\r\n\r\nGET /`],
    ['an empty Content-Length', `Content-Length: 0\r\n\r\n`],
    ['Transfer-Encoding', `Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  ])('robustness A04 refuses CONNECT with %s: 400, no byte reaches the target', async (_what, tail) => {
    const before = stage.origin.accepted();
    const text = await everything(stage.proxy.port, `CONNECT ${stage.authority} HTTP/1.1\r\n${AUTH}${tail}${inner()}`);
    expect(statusesIn(text)).toEqual([400]);
    expect(stage.origin.accepted()).toBe(before);
  });

  it.each(['2.0', '0.9', '1.2', '3.0'])('robustness A02 refuses CONNECT of HTTP/%s', async (version) => {
    const text = await everything(
      stage.proxy.port,
      CONNECT(stage.authority).replace('HTTP/1.1', `HTTP/${version}`) + inner(),
    );
    expect(statusesIn(text)).toEqual([400]);
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('robustness A01 goes by its authority when Host says otherwise', async () => {
    const client = await line(stage.proxy.port);
    expect(
      (await client.ask(`CONNECT ${stage.authority} HTTP/1.1\r\nHost: evil.example:1\r\n${AUTH}\r\n`)).status,
    ).toBe(200);
    expect((await client.ask(inner())).body).toBe('hello');
  });

  it('A15 comes in its turn behind a request still being answered', async () => {
    const client = await line(stage.proxy.port);
    client.write(`GET ${stage.site}/first HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n${CONNECT(stage.authority)}${inner()}`);
    expect((await client.read()).body).toBe('hello');
    expect((await client.read('CONNECT')).status).toBe(200);
    expect((await client.read()).body).toBe('hello');
    expect(stage.origin.requests).toHaveLength(2);
  });

  it('T-06 is 400 inside another tunnel', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    const answer = await inside.ask(CONNECT(stage.authority));
    expect(answer.status).toBe(400);
    await inside.closed;
  });
});

describe('the inside of a tunnel', () => {
  it('T-10 takes plain HTTP when the first byte is no TLS record', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    for (const path of ['/one', '/two']) expect((await inside.ask(inner(path))).body).toBe('hello');
    expect(stage.origin.requests.map(({ head }) => head.split('\r\n').slice(0, 2))).toEqual([
      ['GET /one HTTP/1.1', `Host: ${stage.authority}`],
      ['GET /two HTTP/1.1', `Host: ${stage.authority}`],
    ]);
    inside.socket.destroy();
  });

  it('robustness A05 delivers early data once and in order, after the 200', async () => {
    const client = await line(stage.proxy.port);
    client.write(CONNECT(stage.authority) + inner('/1') + inner('/2').slice(0, 20));
    expect((await client.read('CONNECT')).status).toBe(200);
    expect((await client.read()).body).toBe('hello');
    client.write(inner('/2').slice(20));
    expect((await client.read()).body).toBe('hello');
    expect(stage.origin.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/1', '/2']);
  });

  it('robustness A05 takes an early ClientHello as the start of TLS', async () => {
    const client = await line(stage.proxy.port);
    let held: Buffer | undefined;
    const outer = reshaped(client, (bytes, done) => {
      // The hello leaves in one write with the CONNECT before it.
      if (held) client.socket.write(bytes);
      else client.socket.write(Buffer.concat([Buffer.from(CONNECT(stage.authority)), bytes]));
      held = bytes;
      done();
    });
    let greeted = false;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      const end = chunk.indexOf('\r\n\r\n');
      outer.push(greeted ? chunk : chunk.subarray(end + 4));
      greeted = true;
    });
    const secure = lineOn(await secureOver(outer, { servername: 'shop.localhost' }));
    secure.write(`GET /sessions HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`);
    expect((await secure.read()).status).toBe(400);
  });

  it('robustness E05 understands a ClientHello that comes in single bytes', async () => {
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    const outer = reshaped(tunnel, async (bytes, done) => {
      for (const byte of bytes) {
        tunnel.socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      done();
    });
    const secure = lineOn(await secureOver(outer, { servername: 'shop.localhost' }));
    expect((await secure.ask(inner().replace('GET', 'BREW'))).status).toBe(400);
    tunnel.socket.destroy();
  });

  it('robustness E05 understands a ClientHello over 16 KB', async () => {
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    let written = 0;
    const outer = reshaped(tunnel, (bytes, done) => {
      if (written === 0) written = bytes.length;
      tunnel.socket.write(bytes, () => done());
    });
    // The protocol list is the one extension that can be made long from here.
    const ALPNProtocols = [...Array.from({ length: 68 }, (_, i) => `${i}`.padStart(250, 'x')), 'http/1.1'];
    const secure = await secureOver(outer, { servername: 'shop.localhost', ALPNProtocols });
    expect(written).toBeGreaterThan(16_384);
    expect(secure.alpnProtocol).toBe('http/1.1');
    tunnel.socket.destroy();
  });

  it('T-07 shows a leaf for the CONNECT host when the client sends no SNI', async () => {
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    tunnel.socket.removeAllListeners('data');
    const secure = await secureOver(tunnel.socket, { servername: '' });
    expect(secure.getPeerCertificate().subjectaltname).toBe('DNS:shop.localhost');
    secure.destroy();
  });

  it('T-07 shows one that also fits the SNI when that differs', async () => {
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    tunnel.socket.removeAllListeners('data');
    const secure = await secureOver(tunnel.socket, { servername: 'other.localhost' });
    expect(secure.getPeerCertificate().subjectaltname?.split(', ').sort()).toEqual([
      'DNS:other.localhost',
      'DNS:shop.localhost',
    ]);
    secure.destroy();
  });

  it('T-08 offers http/1.1, and http/1.0 to who knows nothing newer', async () => {
    for (const [offer, chosen] of [
      [['h2', 'http/1.1'], 'http/1.1'],
      [['http/1.1'], 'http/1.1'],
      [['http/1.0', 'http/1.1'], 'http/1.1'],
      [['http/1.0'], 'http/1.0'],
      [[], false],
    ] as const) {
      const tunnel = await openTunnel(stage.proxy, stage.authority);
      tunnel.socket.removeAllListeners('data');
      const secure = await secureOver(tunnel.socket, { servername: 'shop.localhost', ALPNProtocols: offer });
      expect([offer, secure.alpnProtocol]).toEqual([offer, chosen]);
      secure.destroy();
    }
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    tunnel.socket.removeAllListeners('data');
    const secure = connectTls({ socket: tunnel.socket, servername: 'shop.localhost', ALPNProtocols: ['h2'] });
    const [error] = await once(secure, 'error');
    expect(String(error)).toContain('no application protocol');
  });

  it.each([
    ['text', 'what is this\r\n\r\n', [400]],
    ['NUL bytes', '\0\0\0\0', [400]],
    ['an SSH greeting', 'SSH-2.0-OpenSSH_9.6\r\n', [400]],
    ['a broken TLS record', '\x16\x03\x01\x00\x05hello and more', []],
    ['an SSLv2 hello', '\x80\x2e\x01\x00\x02', [400]],
  ])('robustness E05 ends a tunnel that starts with %s', async (_what, bytes, statuses) => {
    const text = await everything(stage.proxy.port, CONNECT(stage.authority) + bytes);
    const [greeting, ...rest] = statusesIn(text);
    expect([greeting, rest]).toEqual([200, statuses]);
    expect(stage.origin.requests).toHaveLength(0);
  });

  it.each([
    ['another host', () => 'http://other.localhost/'],
    ['another port', () => `http://shop.localhost:${stage.origin.port + 1}/`],
    ['another scheme', () => stage.site.replace('http:', 'https:')],
  ])('A11 refuses an absolute URL of %s in a tunnel', async (_what, url) => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    const answer = await inside.ask(`GET ${url()} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([400, 'bad_uri']);
    expect(stage.origin.requests).toHaveLength(0);
    inside.socket.destroy();
  });

  it('A11 takes one of the same place, and it outranks Host', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    expect((await inside.ask(`GET ${stage.site}/x HTTP/1.1\r\nHost: evil.example\r\n\r\n`)).body).toBe('hello');
    expect(stage.origin.requests[0]?.head).toContain(`\r\nHost: ${stage.authority}\r\n`);
    inside.socket.destroy();
  });

  it.each([
    ['before its first byte', ''],
    ['in the middle of its ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['in the middle of a request', 'GET / HT'],
  ])('T-19 closes a tunnel whose client ends its side %s', async (_when, bytes) => {
    const tunnel = await openTunnel(stage.proxy, stage.authority);
    tunnel.write(bytes);
    await new Promise((resolve) => setImmediate(resolve));
    tunnel.socket.end();
    await tunnel.closed;
  });
});
