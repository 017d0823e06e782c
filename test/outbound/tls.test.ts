/** TLS with targets and upstreams: who is trusted, what is said when not, what is remembered. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../src/model/errors.ts';
import type { OutboundRequest } from '../../src/pipeline/ports.ts';
import { makeAuthority, makeSelfSigned, type TestCertificate } from '../support/certificates.ts';
import type { Origin } from '../support/origin.ts';
import { listen } from '../support/sockets.ts';
import { faultOf, fetchText, optionsFor, requestTo, targetOf, testTransport } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();
const HOSTS = ['shop.localhost'];

const to = (site: Origin, more: Partial<OutboundRequest> = {}, host = 'shop.localhost'): OutboundRequest =>
  requestTo(targetOf('https', host, site.port), more);

const refusal = async (certificate: TestCertificate, host = 'shop.localhost'): Promise<Fault> => {
  const site = await kit.origin({ certificate });
  return faultOf(fetchText(kit.transport(), to(site, {}, host)));
};

const PAST = { notBefore: new Date(Date.now() - 9e8), notAfter: new Date(Date.now() - 1e8) };
const FUTURE = { notBefore: new Date(Date.now() + 1e8), notAfter: new Date(Date.now() + 9e8) };

describe('C-07 and robustness E06: a target certificate', () => {
  it.each([
    ['certificate expired', () => kit.authority.issue({ hosts: HOSTS, ...PAST })],
    ['certificate not yet valid', () => kit.authority.issue({ hosts: HOSTS, ...FUTURE })],
    ['self-signed certificate', () => makeSelfSigned({ hosts: HOSTS })],
    ['unknown issuer', () => makeAuthority('nobody knows it').issue({ hosts: HOSTS })],
    ['certificate for another host', () => kit.authority.issue({ hosts: ['other.localhost'] })],
  ])('is refused with its own reason: %s', async (reason, make) => {
    const fault = await refusal(make());
    expect(fault).toMatchObject({ condition: 'tls_failed', upstreamFailed: false, sent: 'nothing' });
    expect(fault.reason).toBe(`target TLS: ${reason}`);
  });

  it('for a name does not do for an address', async () => {
    const fault = await refusal(kit.authority.issue({ hosts: HOSTS }), '127.0.0.1');
    expect(fault.reason).toContain('another host');
  });

  it('for an address does, and no name is sent in TLS', async () => {
    const site = await kit.secureOrigin(['127.0.0.1']);
    const { text } = await fetchText(kit.transport(), to(site, {}, '127.0.0.1'));
    expect([text, site.requests[0]?.servername]).toEqual(['hello', undefined]);
  });

  it('is verified for the name the client gave in TLS when there is one', async () => {
    const site = await kit.secureOrigin(['inner.localhost']);
    const { text } = await fetchText(kit.transport(), to(site, { servername: 'inner.localhost' }));
    expect([text, site.requests[0]?.servername]).toEqual(['hello', 'inner.localhost']);
    expect((await faultOf(fetchText(kit.transport(), to(site)))).condition).toBe('tls_failed');
  });

  it('is not verified with insecureTarget, and that never spreads to other requests', async () => {
    const site = await kit.origin({ certificate: makeSelfSigned({ hosts: ['x.localhost'], ...PAST }) });
    const out = kit.transport();
    for (let i = 0; i < 2; i++) {
      expect((await fetchText(out, to(site, { insecureTarget: true }))).text).toBe('hello');
      expect((await faultOf(fetchText(out, to(site)))).condition).toBe('tls_failed');
    }
  });

  it('robustness E07: insecureTarget does not excuse the upstream', async () => {
    const certificate = makeSelfSigned({ hosts: ['proxy.localhost'] });
    const proxy = await kit.upstream({ kind: 'https', certificate });
    const site = await kit.secureOrigin();
    const options = optionsFor({ upstream: proxy.model });
    const fault = await faultOf(fetchText(kit.transport(), to(site, { insecureTarget: true }), options));
    expect(fault).toMatchObject({ condition: 'noslaves', upstreamFailed: true });
    expect(fault.reason).toBe('upstream TLS: self-signed certificate');
  });
});

describe('a TLS handshake with the target', () => {
  it.each([
    ['reset', 'econnreset'],
    ['close', 'socket_closed_remotely'],
  ] as const)('that ends in a %s', async (onConnect, condition) => {
    const site = await kit.origin({ onConnect });
    const fault = await faultOf(fetchText(kit.transport(), to(site)));
    expect(fault).toMatchObject({ condition, upstreamFailed: false, sent: 'nothing' });
  });

  it('that meets no TLS', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { port } = kit.closing(await listen(server));
    const fault = await faultOf(fetchText(kit.transport(), requestTo(targetOf('https', 'shop.localhost', port))));
    expect(fault.condition).toBe('tls_failed');
  });

  it('is resumed for the same owner only', async () => {
    const site = await kit.secureOrigin();
    site.fallback = ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx'];
    const out = kit.transport();
    for (const owner of ['a', 'a', 'b']) await fetchText(out, to(site), optionsFor({ owner }));
    expect(site.requests.map(({ sessionReused }) => sessionReused)).toEqual([false, true, false]);
  });
});

describe('extra roots', () => {
  it('that cannot be read or hold nothing stop the start with a clear word', () => {
    expect(() => testTransport({ extraRoots: '/nonexistent/roots.pem' })).toThrow(/roots\.pem/);
    expect(() => testTransport({ extraRoots: import.meta.filename })).toThrow(/no certificate/);
  });
});
