/** Section 13 of the contract end to end: real TLS clients in real tunnels that trust nothing but this proxy's CA. */
import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { renewCa } from '../../src/inbound/authority.ts';
import { makeAuthority, makeSelfSigned, type TestCertificate } from '../support/certificates.ts';
import { get, openSecure, openTunnel } from '../support/client.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const TARGETS = (more = ''): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n${more}`;

const DAY_MS = 86_400_000;
const LONG = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.localhost`;

/** Reads an answer from inside the tunnel and the leaf that was shown there. */
const visit = async (proxy: RunningProxy, authority: string, servername?: string) => {
  const line = await openSecure(proxy, authority, servername === undefined ? {} : { servername });
  const { socket } = line;
  const answer = await line.ask(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const peer: DetailedPeerCertificate = socket.getPeerCertificate(true);
  const { authorized } = socket;
  const protocol = [socket.getProtocol(), socket.alpnProtocol] as const;
  socket.destroy();
  return { answer, leaf: new X509Certificate(peer.raw), authorized, protocol };
};

describe('leaves in tunnels', () => {
  it.each([
    ['a name', 'shop.localhost', 'DNS:shop.localhost'],
    ['a name in capitals', 'SHOP.Localhost', 'DNS:shop.localhost'],
    ['an IPv4 address', '127.0.0.1', 'IP Address:127.0.0.1'],
    ['an IPv6 address', '[::1]', 'IP Address:0:0:0:0:0:0:0:1'],
    ['a name longer than a common name may be', LONG, `DNS:${LONG}`],
    ['a name with an underscore', 'my_shop.localhost', 'DNS:my_shop.localhost'],
    ['an international name', 'xn--mnchen-3ya.localhost', 'DNS:xn--mnchen-3ya.localhost'],
  ])('C-04 T-07 is valid for %s', async (_what, host, name) => {
    const bare = host.replace(/[[\]]/g, '').toLowerCase();
    const origin = await kit.secureOrigin([bare], bare === '::1' ? { host: '::1' } : {});
    const proxy = await kit.proxy(TARGETS());
    const { answer, leaf, authorized, protocol } = await visit(proxy, `${host}:${origin.port}`);
    expect([answer.status, answer.body, authorized]).toEqual([200, 'hello', true]);
    expect(leaf.subjectAltName?.split(', ')).toContain(name);
    expect(isIP(bare) === 0 ? leaf.checkHost(bare) : leaf.checkIP(bare)).toBeDefined();
    expect(protocol[0]).toMatch(/^TLSv1\.[23]$/);
  });

  it('C-04 C-06 robustness E01 has issuer, identifiers, use and life as the contract asks', async () => {
    const proxy = await kit.proxy();
    const { leaf } = await visit(proxy, 'shop.localhost:9');
    const ca = new X509Certificate(proxy.caPem);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
    expect(from).toBeLessThan(Date.now());
    expect(to).toBeGreaterThan(Date.now());
    expect(to - from).toBeLessThanOrEqual(200 * DAY_MS);
    const { asymmetricKeyType, asymmetricKeyDetails } = leaf.publicKey;
    expect([asymmetricKeyType, asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength]).toEqual([
      'ec',
      'prime256v1',
    ]);
    expect(leaf.serialNumber.length).toBeGreaterThanOrEqual(16);
    expect(ca.ca).toBe(true);
    expect(Date.parse(ca.validTo) - Date.now()).toBeGreaterThan(9 * 365 * DAY_MS);
  });

  it('C-06 is the same leaf for the same host, and another for another', async () => {
    const proxy = await kit.proxy();
    const [one, again, other] = [
      await visit(proxy, 'shop.localhost:9'),
      await visit(proxy, 'shop.localhost:8'),
      await visit(proxy, 'else.localhost:9'),
    ];
    expect(one.leaf.fingerprint256).toBe(again.leaf.fingerprint256);
    expect(one.leaf.fingerprint256).not.toBe(other.leaf.fingerprint256);
  });

  it('T-07 is valid for a server name that differs, and asks the target for that one', async () => {
    const origin = await kit.secureOrigin(['shop.localhost', 'other.localhost']);
    const proxy = await kit.proxy(TARGETS());
    const { answer, leaf } = await visit(proxy, `shop.localhost:${origin.port}`, 'other.localhost');
    expect(answer.status).toBe(200);
    expect(leaf.checkHost('other.localhost')).toBeDefined();
    expect(leaf.checkHost('shop.localhost')).toBeDefined();
    expect(origin.requests[0]?.servername).toBe('other.localhost');
  });

  it('T-08 speaks http/1.1 alone, also to who offers h2', async () => {
    const proxy = await kit.proxy();
    const line = await openTunnel(proxy, 'shop.localhost:9');
    line.socket.removeAllListeners('data');
    const secure = connect({
      socket: line.socket,
      ca: proxy.caPem,
      servername: 'shop.localhost',
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    await new Promise((resolve) => secure.once('secureConnect', resolve));
    expect(secure.alpnProtocol).toBe('http/1.1');
    secure.destroy();
  });

  it('C-05 robustness E10 a renewed CA signs from the reload on; who trusts only the old one is still served', async () => {
    const proxy = await kit.proxy();
    const before = await visit(proxy, 'shop.localhost:9');
    renewCa(join(proxy.folder, 'certs'), Date.now());
    proxy.reload('');
    const { certificatePem } = proxy.app.authority;
    expect(certificatePem).not.toBe(proxy.caPem);
    // `visit` trusts proxy.caPem: the old one.
    const old = await visit(proxy, 'shop.localhost:9');
    expect(old.leaf.fingerprint256).not.toBe(before.leaf.fingerprint256);
    const fresh = await visit({ ...proxy, caPem: certificatePem }, 'shop.localhost:9');
    expect(fresh.authorized).toBe(true);
  });
});

describe('programs in use', () => {
  interface Ran {
    readonly status: number | null;
    readonly out: string;
  }

  /** Not `spawnSync`: proxy and target live in this process. */
  const run = (program: string, args: readonly string[], input = ''): Promise<Ran> =>
    new Promise((resolve) => {
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } });
      let out = '';
      const deadline = setTimeout(() => child.kill('SIGKILL'), 15_000);
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.on('close', (status) => {
        clearTimeout(deadline);
        resolve({ status, out });
      });
      child.stdin.on('error', () => {});
      child.stdin.end(input);
    });

  const has = (program: string, ...args: string[]): boolean => {
    const found = spawnSync(program, args, { stdio: 'ignore' }).status === 0;
    // A run must show what it did not prove.
    if (!found) process.stderr.write(`absent, not tried: ${program}\n`);
    return found;
  };

  const PRESENT = {
    curl: has('curl', '--version'),
    python3: has('python3', '-c', 'import ssl'),
    openssl: has('openssl', 'version'),
  };

  /** A proxy, a target with TLS for name and addresses, and the CA as a file. */
  const stage = async () => {
    const origin = await kit.secureOrigin(['shop.localhost', LONG, '127.0.0.1']);
    const proxy = await kit.proxy(TARGETS());
    const caFile = join(proxy.folder, 'client-ca.crt');
    writeFileSync(caFile, proxy.caPem);
    return { origin, proxy, caFile };
  };

  const hosts = ['shop.localhost', '127.0.0.1', LONG];

  it.runIf(PRESENT.curl)('C-01 robustness E02 curl --cacert is content, and without it is not', async () => {
    const { origin, proxy, caFile } = await stage();
    const base = ['-sS', '--max-time', '10', '-x', `127.0.0.1:${proxy.port}`, '-U', `${KEY}:`];
    for (const host of hosts) {
      const url = `https://${host}:${origin.port}/`;
      expect(await run('curl', [...base, '--cacert', caFile, url])).toEqual({ status: 0, out: 'hello' });
      expect((await run('curl', [...base, url])).status).toBe(60);
    }
  });

  /** Through the proxy with a context that verifies as Python 3.13 does by default. */
  const PYTHON = `
import http.client, ssl, sys, base64
port, ca, host, target, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.verify_flags |= ssl.VERIFY_X509_STRICT
connection = http.client.HTTPSConnection('127.0.0.1', int(port), context=context, timeout=10)
credentials = base64.b64encode((key + ':').encode()).decode()
connection.set_tunnel(host, int(target), {'Proxy-Authorization': 'Basic ' + credentials})
connection.request('GET', '/')
sys.stdout.write(connection.getresponse().read().decode())
`;

  it.runIf(PRESENT.python3)('C-04 T-05 robustness E02 Python is content with strict verification', async () => {
    const { origin, proxy, caFile } = await stage();
    for (const host of hosts) {
      const args = [String(proxy.port), caFile, host, String(origin.port), KEY];
      expect(await run('python3', ['-c', PYTHON, ...args])).toEqual({ status: 0, out: 'hello' });
    }
  });

  it.runIf(PRESENT.openssl)(
    'C-04 openssl verifies CA and leaf strictly, and shows the extensions asked for',
    async () => {
      const { proxy, caFile } = await stage();
      for (const host of hosts) {
        const { leaf } = await visit(proxy, `${host}:9`);
        const leafFile = join(proxy.folder, 'leaf.pem');
        writeFileSync(leafFile, leaf.toString());
        const flag = isIP(host) === 0 ? '-verify_hostname' : '-verify_ip';
        const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', caFile, flag, host, leafFile];
        expect(await run('openssl', args)).toEqual({ status: 0, out: `${leafFile}: OK\n` });
        const { out } = await run('openssl', ['x509', '-in', leafFile, '-noout', '-text']);
        for (const part of [
          'Authority Key Identifier',
          'Subject Alternative Name',
          'Digital Signature',
          'TLS Web Server',
        ])
          expect(out).toContain(part);
      }
      const { out } = await run('openssl', ['x509', '-in', caFile, '-noout', '-text']);
      expect(out).toMatch(/Basic Constraints: critical\s+CA:TRUE/);
      expect(out).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
      expect(out).toContain('Subject Key Identifier');
    },
  );

  it.runIf(PRESENT.openssl)('C-04 openssl s_client gets through the proxy and finds the chain in order', async () => {
    const { origin, proxy, caFile } = await stage();
    const args = ['s_client', '-proxy', `127.0.0.1:${proxy.port}`, '-proxy_user', KEY, '-proxy_pass', 'pass:x'];
    const checks = ['-CAfile', caFile, '-x509_strict', '-verify_return_error', '-verify_hostname', 'shop.localhost'];
    const { status, out } = await run('openssl', [
      ...args,
      ...checks,
      '-servername',
      'shop.localhost',
      '-connect',
      `shop.localhost:${origin.port}`,
    ]);
    expect(out).toContain('Verify return code: 0 (ok)');
    expect(status).toBe(0);
  });
});

describe('certificates of targets (C-07)', () => {
  const roots = makeAuthority('an authority nobody here knows');

  const bad: readonly (readonly [string, () => TestCertificate])[] = [
    ['self-signed', () => makeSelfSigned({ hosts: ['shop.localhost'] })],
    ['of an unknown authority', () => roots.issue({ hosts: ['shop.localhost'] })],
    ['of another host', () => kit.authority().issue({ hosts: ['other.localhost'] })],
    [
      'expired',
      () =>
        kit.authority().issue({
          hosts: ['shop.localhost'],
          notBefore: new Date(Date.now() - 20 * DAY_MS),
          notAfter: new Date(Date.now() - DAY_MS),
        }),
    ],
    [
      'not valid yet',
      () => kit.authority().issue({ hosts: ['shop.localhost'], notBefore: new Date(Date.now() + DAY_MS) }),
    ],
  ];

  const originWith = async (certificate: TestCertificate): Promise<Origin> =>
    kit.closing(await makeOrigin({ certificate }));

  it.each(bad)('C-07 robustness E06 refuses one that is %s, in a tunnel and without', async (_what, make) => {
    const origin = await originWith(make());
    const proxy = await kit.proxy(TARGETS());
    const authority = `shop.localhost:${origin.port}`;
    for (const answer of [(await visit(proxy, authority)).answer, await get(proxy, `https://${authority}/`)]) {
      expect([answer.status, answer.header('X-Crawlera-Error'), answer.body]).toEqual([
        502,
        'send_failed',
        'Send failed',
      ]);
    }
    expect(origin.requests).toEqual([]);
    // The reason is for the operator, and tells one from the other.
    expect(proxy.receipts.at(-1)?.attempts[0]?.reason).toMatch(/certificate|self|issuer|altname|expired|yet/i);
  });

  it('C-07 E-03 calls it ssl_tunnel_error in the spm dialect', async () => {
    const origin = await originWith(makeSelfSigned({ hosts: ['shop.localhost'] }));
    const proxy = await kit.proxy(TARGETS(`accounts: [{ id: test, key: ${KEY}, dialect: spm }]\n`));
    const answer = await get(proxy, `https://shop.localhost:${origin.port}/`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([502, 'ssl_tunnel_error']);
  });

  it.each(bad)('C-07 insecureTarget lets one through that is %s, for that website alone', async (_what, make) => {
    const origin = await originWith(make());
    const proxy = await kit.proxy(TARGETS('websites: { shop.localhost: { insecureTarget: true } }\n'));
    expect((await visit(proxy, `shop.localhost:${origin.port}`)).answer.status).toBe(200);
    expect((await get(proxy, `https://shop.localhost:${origin.port}/`)).status).toBe(200);
    expect((await get(proxy, `https://elsewhere.localhost:${origin.port}/`)).status).toBe(502);
  });

  it('C-07 the switch follows a reload in both directions: no connection made insecurely serves afterwards', async () => {
    const origin = await originWith(makeSelfSigned({ hosts: ['shop.localhost'] }));
    const proxy = await kit.proxy(TARGETS());
    const ask = async (): Promise<number> => (await get(proxy, `https://shop.localhost:${origin.port}/`)).status;
    expect(await ask()).toBe(502);
    proxy.reload(TARGETS('websites: { shop.localhost: { insecureTarget: true } }\n'));
    expect(await ask()).toBe(200);
    proxy.reload(TARGETS());
    expect(await ask()).toBe(502);
  });

  it.each(['http', 'socks5'] as const)('C-07 robustness E07 verifies through a %s upstream too', async (kind) => {
    const origin = await originWith(makeSelfSigned({ hosts: ['shop.localhost'] }));
    const proxy = await kit.proxy(TARGETS(), [await kit.upstream({ kind })]);
    const answer = await get(proxy, `https://shop.localhost:${origin.port}/`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([502, 'send_failed']);
    expect(origin.requests).toEqual([]);
  });

  it('C-07 trusts the authorities of targets.extraRoots, but no CA of a crawlgate, be it in front as an upstream', async () => {
    const trusted = await kit.secureOrigin(['shop.localhost']);
    const url = `https://shop.localhost:${trusted.port}/`;
    const inner = await kit.proxy(TARGETS());
    expect((await get(inner, url)).status).toBe(200);
    const outer = await kit.proxy(TARGETS(`upstreams: [{ url: "http://${KEY}:@127.0.0.1:${inner.port}" }]\n`));
    const answer = await get(outer, url);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([502, 'send_failed']);
    expect(trusted.requests).toHaveLength(1);
  });
});
