/** Makes servers and transports that a test file closes after each test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import type { Transport } from '../../src/pipeline/ports.ts';
import { makeAuthority, type TestAuthority } from '../support/certificates.ts';
import { makeOrigin, type Origin, type OriginOptions } from '../support/origin.ts';
import { makeUpstream, type TestUpstream, type UpstreamOptions } from '../support/upstream.ts';
import { type TestTransportOptions, testTransport } from './harness.ts';

export interface Kit {
  /** The authority every transport of this kit trusts. */
  readonly authority: TestAuthority;
  /** Its certificate as a file. */
  readonly rootsFile: string;
  origin(options?: OriginOptions): Promise<Origin>;
  /** A TLS origin for these names. */
  secureOrigin(hosts?: readonly string[], options?: OriginOptions): Promise<Origin>;
  upstream(options: UpstreamOptions): Promise<TestUpstream>;
  transport(options?: TestTransportOptions): Transport;
  /** Closed after the test as well. */
  closing<T extends { close(): Promise<unknown> }>(made: T): T;
}

/** Call once a test file, at its top level. */
export const makeKit = (): Kit => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-outbound-'));
  const rootsFile = join(folder, 'roots.pem');
  const authority = makeAuthority();
  writeFileSync(rootsFile, authority.cert);
  const proxyCertificate = authority.issue({ hosts: ['proxy.localhost'] });
  const siteCertificates = new Map<string, ReturnType<TestAuthority['issue']>>();
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const closing = <T extends { close(): Promise<unknown> }>(made: T): T => {
    closers.push(() => made.close());
    return made;
  };
  const siteCertificate = (hosts: readonly string[]): ReturnType<TestAuthority['issue']> => {
    const key = hosts.join();
    const known = siteCertificates.get(key) ?? authority.issue({ hosts });
    siteCertificates.set(key, known);
    return known;
  };
  return {
    authority,
    rootsFile,
    closing,
    origin: async (options) => closing(await makeOrigin(options)),
    secureOrigin: async (hosts = ['shop.localhost', '127.0.0.1'], options = {}) =>
      closing(await makeOrigin({ certificate: siteCertificate(hosts), ...options })),
    upstream: async (options) => closing(await makeUpstream({ certificate: proxyCertificate, ...options })),
    transport: (options) => closing(testTransport({ extraRoots: rootsFile, ...options })),
  };
};
