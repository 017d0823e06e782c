import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Authority, type AuthorityOptions, CA_FILES, openAuthority } from '../../src/inbound/authority.ts';
import { makeTurnQueue } from '../../src/inbound/turn-queue.ts';
import { Refusal } from '../../src/model/errors.ts';
import { handshake, pythonCommand, shownBy, testFolder } from './certificate-support.ts';

const DAY_MS = 86_400_000;

const authorityWith = (options: AuthorityOptions = {}): { authority: Authority; folder: string } => {
  const folder = testFolder();
  return { authority: openAuthority(folder, options), folder };
};

const serialFor = async (authority: Authority, host: string, sni?: string): Promise<string> =>
  (await shownBy(authority.secureContextFor(host, sni))).serialNumber;

describe('T-07 the leaf for a tunnel', () => {
  it.each([
    ['shop.localhost', undefined, 'DNS:shop.localhost'],
    ['shop.localhost', '', 'DNS:shop.localhost'],
    ['shop.localhost', 'shop.localhost', 'DNS:shop.localhost'],
    ['shop.localhost', 'SHOP.localhost.', 'DNS:shop.localhost'],
    ['shop.localhost', 'cdn.localhost', 'DNS:shop.localhost, DNS:cdn.localhost'],
    ['192.0.2.7', 'shop.localhost', 'IP Address:192.0.2.7, DNS:shop.localhost'],
    ['2001:db8::7', undefined, 'IP Address:2001:DB8:0:0:0:0:0:7'],
    ['shop.localhost', '../../x', 'DNS:shop.localhost'],
    ['shop.localhost', 'a\0b', 'DNS:shop.localhost'],
    ['shop.localhost', '*.localhost', 'DNS:shop.localhost'],
    ['shop.localhost', 'a..b', 'DNS:shop.localhost'],
    ['shop.localhost', `${'a.'.repeat(127)}bc`, 'DNS:shop.localhost'],
  ])('for CONNECT %j and SNI %j (robustness E05) names %s', async (host, sni, names) => {
    const { authority } = authorityWith();
    const leaf = await shownBy(authority.secureContextFor(host, sni));
    expect(leaf.subjectAltName).toBe(names);
  });

  it('is accepted under both names by a client that trusts our CA alone', async () => {
    const { authority } = authorityWith();
    const context = authority.secureContextFor('shop.localhost', 'cdn.localhost');
    for (const name of ['shop.localhost', 'cdn.localhost']) {
      expect((await handshake(context, { ca: authority.certificatePem, name })).authorized).toBe(true);
    }
  });

  it.each(['', '../../x', 'a/b', 'a b', 'a\r\nb', 'a..b', '*', 'x'.repeat(254)])(
    'is refused for the impossible host %j',
    (host) => {
      const { authority } = authorityWith();
      expect(() => authority.secureContextFor(host, undefined)).toThrow(Refusal);
      expect(() => authority.secureContextFor(host, 'shop.localhost')).toThrow(/^bad_uri/);
    },
  );

  it('robustness C07 makes no file out of a host name, and no host can reach the CA key', () => {
    const { authority, folder } = authorityWith();
    const parent = join(folder, '..');
    const before = { names: readdirSync(folder), key: readFileSync(join(folder, CA_FILES.key)) };
    const outside = readdirSync(parent).filter((name) => name === 'x' || name.startsWith('x.'));
    for (const host of [
      'ca.private',
      'crawlera-ca.key',
      'crawlera-ca',
      '../../x',
      '../x',
      '/tmp/x',
      'shop.localhost',
    ]) {
      try {
        authority.secureContextFor(host, host);
        authority.secureContextFor('shop.localhost', host);
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
      }
    }
    expect(readdirSync(folder)).toEqual(before.names);
    expect(readFileSync(join(folder, CA_FILES.key))).toEqual(before.key);
    expect(readdirSync(parent).filter((name) => name === 'x' || name.startsWith('x.'))).toEqual(outside);
  });
});

describe('C-06 leaves are kept', () => {
  it('robustness E04 one signature a host, however often and in whatever spelling it is asked for', async () => {
    const { authority } = authorityWith();
    const serials = new Set<string>();
    for (const host of ['shop.localhost', 'SHOP.localhost', 'shop.localhost.', 'shop.localhost']) {
      serials.add(await serialFor(authority, host));
    }
    expect(serials.size).toBe(1);
    expect(authority.secureContextFor('shop.localhost', 'shop.localhost')).toBe(
      authority.secureContextFor('Shop.localhost', undefined),
    );
  });

  it('a pair of names and a single one are never mistaken for each other', async () => {
    const { authority } = authorityWith();
    const both = await shownBy(authority.secureContextFor('a.localhost', 'b.localhost'));
    const turned = await shownBy(authority.secureContextFor('b.localhost', 'a.localhost'));
    expect(both.subject).toBe('CN=a.localhost');
    expect(turned.subject).toBe('CN=b.localhost');
    expect(() => authority.secureContextFor('a.localhost b.localhost', undefined)).toThrow(Refusal);
  });

  it('the leaf outlasts its context: a host that comes back is not signed again', async () => {
    const { authority } = authorityWith({ limits: { leaves: 10, contexts: 2 } });
    const first = await serialFor(authority, 'a.localhost');
    for (const host of ['b.localhost', 'c.localhost', 'd.localhost']) await serialFor(authority, host);
    expect(await serialFor(authority, 'a.localhost')).toBe(first);
  });

  it('within limits: contexts are used again for other hosts, and each shows the right leaf', async () => {
    const { authority } = authorityWith({ limits: { leaves: 3, contexts: 2 } });
    const contexts = new Set<SecureContext>();
    for (let round = 0; round < 3; round++) {
      for (const host of ['a', 'b', 'c', 'd', 'e']) {
        const context = authority.secureContextFor(`${host}.localhost`, undefined);
        contexts.add(context);
        expect((await shownBy(context)).subjectAltName).toBe(`DNS:${host}.localhost`);
      }
    }
    expect(contexts.size).toBe(2);
  });

  it.each(['a.localhost', undefined])(
    'a connection with SNI %j keeps the leaf it began with when its context goes to another host',
    async (servername) => {
      const { authority } = authorityWith({ limits: { leaves: 3, contexts: 1 } });
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const client = connect({
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        rejectUnauthorized: false,
        ...(servername === undefined ? {} : { servername }),
      });
      onTestFinished(() => void client.destroy());
      const [socket] = await once(server, 'connection');
      const secure = new TLSSocket(socket, {
        isServer: true,
        secureContext: authority.secureContextFor('a.localhost', undefined),
        // Nothing given: the connection's own leaf it is. Giving the context again would show whatever it holds by now.
        SNICallback: (_name, give) => give(null),
      });
      secure.on('error', () => secure.destroy());
      authority.secureContextFor('b.localhost', undefined);
      await once(client, 'secureConnect');
      expect(client.getPeerX509Certificate()?.subjectAltName).toBe('DNS:a.localhost');
    },
  );

  it('robustness E03 a clock that jumps 50 days brings a new leaf without a restart', async () => {
    let at = Date.now();
    const { authority } = authorityWith({ now: () => at });
    const before = await shownBy(authority.secureContextFor('shop.localhost', undefined));
    at += 50 * DAY_MS;
    const after = await shownBy(authority.secureContextFor('shop.localhost', undefined));
    expect(after.serialNumber).not.toBe(before.serialNumber);
    expect(Date.parse(before.validTo)).toBeLessThan(at);
    expect(Date.parse(after.validFrom)).toBeLessThan(at);
    expect(Date.parse(after.validTo)).toBeGreaterThan(at + 30 * DAY_MS);
  });

  it('robustness E03 a leaf is replaced at two thirds of its life, long before it ends', async () => {
    let at = Date.now();
    const { authority } = authorityWith({ now: () => at });
    const first = await shownBy(authority.secureContextFor('shop.localhost', undefined));
    const start = Date.parse(first.validFrom);
    const life = Date.parse(first.validTo) - start;
    at = start + (life * 2) / 3 - 1000;
    expect(await serialFor(authority, 'shop.localhost')).toBe(first.serialNumber);
    at = start + (life * 2) / 3 + 1000;
    expect(await serialFor(authority, 'shop.localhost')).not.toBe(first.serialNumber);
  });

  it('serials differ from start to start and from node to node', async () => {
    const { authority, folder } = authorityWith();
    const other = openAuthority(folder);
    expect(await serialFor(authority, 'shop.localhost')).not.toBe(await serialFor(other, 'shop.localhost'));
  });
});

describe('the TLS of a tunnel', () => {
  const attempt = (options: ConnectionOptions) =>
    handshake(authorityWith().authority.secureContextFor('shop.localhost', undefined), {
      rejectUnauthorized: false,
      ...options,
    });

  it('robustness E09 speaks TLS 1.3 and 1.2 with authenticated, forward secret suites', async () => {
    const modern = await attempt({});
    expect([modern.getProtocol(), modern.getCipher().name]).toEqual(['TLSv1.3', 'TLS_AES_128_GCM_SHA256']);
    for (const suite of [
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
    ]) {
      const client = await attempt({ maxVersion: 'TLSv1.2', ciphers: suite });
      expect([client.getProtocol(), client.getCipher().name]).toEqual(['TLSv1.2', suite]);
    }
  });

  it.each<[string, ConnectionOptions]>([
    ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
    [
      'CBC',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384' },
    ],
    ['static RSA', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES256-SHA' }],
    ['no encryption or no server certificate', { maxVersion: 'TLSv1.2', ciphers: 'eNULL:aNULL:@SECLEVEL=0' }],
    ['an eight byte tag', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0' }],
  ])('robustness E09 refuses %s', async (_what, options) => {
    await expect(attempt(options)).rejects.toThrow(/alert|protocol|handshake|ECONNRESET/i);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('sessions of %s resume, in the context of any host', async (version) => {
    const { authority } = authorityWith({ limits: { leaves: 10, contexts: 1 } });
    const options = { ca: authority.certificatePem, name: 'a.localhost', maxVersion: version };
    const first = await handshake(authority.secureContextFor('a.localhost', undefined), options);
    const session = version === 'TLSv1.2' ? first.getSession() : (await once(first, 'session'))[0];
    first.destroy();
    authority.secureContextFor('b.localhost', undefined);
    const second = await handshake(authority.secureContextFor('a.localhost', undefined), { ...options, session });
    expect(second.isSessionReused()).toBe(true);
  });

  it('sessions resume in a process that was given the same ticket keys, and in no other', async () => {
    const ticketKeys = Buffer.alloc(48, 7);
    const { authority, folder } = authorityWith({ ticketKeys });
    const options = { ca: authority.certificatePem, name: 'a.localhost' };
    const first = await handshake(authority.secureContextFor('a.localhost', undefined), options);
    const [session] = await once(first, 'session');
    const reused = async (other: Authority) =>
      (await handshake(other.secureContextFor('a.localhost', undefined), { ...options, session })).isSessionReused();
    expect(await reused(openAuthority(folder, { ticketKeys }))).toBe(true);
    expect(await reused(openAuthority(folder))).toBe(false);
  });

  it('robustness E02 is accepted by a Python that verifies strictly', async () => {
    const { authority, folder } = authorityWith();
    const server = createServer((socket) => {
      const secure = new TLSSocket(socket, {
        isServer: true,
        secureContext: authority.secureContextFor('shop.localhost', undefined),
      });
      secure.on('error', () => secure.destroy());
      secure.resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const port = (server.address() as AddressInfo).port;
    const command = pythonCommand(join(folder, CA_FILES.certificate), port, 'shop.localhost');
    const run = command ? (await promisify(execFile)(...command)).stdout.trim() : 'TLSv1.3';
    expect(run).toBe('TLSv1.3');
  });
});

describe('a burst of new hosts', () => {
  it('robustness E04 leaves the event loop its turns: 1000 new hosts, p99 of a stretch under 50 ms of CPU', async () => {
    const { authority } = authorityWith();
    const stretches: number[] = [];
    let mark = process.cpuUsage();
    let open = 1000;
    const watch = (): void => {
      const { user, system } = process.cpuUsage(mark);
      mark = process.cpuUsage();
      stretches.push((user + system) / 1000);
      if (open > 0) setImmediate(watch);
    };
    setImmediate(watch);
    await new Promise<void>((resolve, reject) => {
      for (let i = 0; i < 1000; i++) {
        authority.whenReady(`h${i}.localhost`, undefined, (error) => {
          if (error) reject(error);
          if (--open === 0) resolve();
        });
      }
    });
    stretches.sort((a, b) => a - b);
    expect(stretches.length).toBeGreaterThan(10);
    expect(stretches[Math.floor(stretches.length * 0.99) - 1]).toBeLessThan(50);
  });

  it('answers in order, tells an impossible host, and never calls back before it has returned', async () => {
    const { authority } = authorityWith();
    const heard: string[] = [];
    await new Promise<void>((resolve) => {
      authority.whenReady('a.localhost', undefined, (_error, context) => heard.push(context ? 'a' : 'no a'));
      authority.whenReady('../x', undefined, (error) => heard.push(String(error)));
      authority.whenReady('a.localhost', undefined, () => resolve());
      heard.push('returned');
    });
    expect(heard).toEqual(['returned', 'a', expect.stringContaining('bad_uri')]);
  });

  it('is bounded: work beyond the limit is turned away, and taken again when there is room', async () => {
    const queue = makeTurnQueue(3);
    const done: number[] = [];
    const offered = [1, 2, 3, 4].map((n) => queue(() => void done.push(n)));
    expect(offered).toEqual([true, true, true, false]);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await new Promise<void>((resolve) => {
      expect(queue(() => queue(resolve))).toBe(true);
    });
    expect(done).toEqual([1, 2, 3]);
  });
});
