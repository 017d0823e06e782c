/** What the tests of HTTP/2 share: a target over TLS and a proxy that offers h2 inside its tunnels. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Clock } from '../../src/pipeline/ports.ts';
import { makeAuthority, type TestCertificate } from '../support/certificates.ts';
import { makeOrigin, type Origin, type OriginOptions, reply } from '../support/origin.ts';
import { type RunningProxy, startProxy } from '../support/proxy.ts';

export interface H2Stage {
  readonly proxy: RunningProxy;
  /** A target over TLS; its record is emptied before each test. */
  readonly origin: Origin;
  /** `shop.localhost:port`. */
  readonly authority: string;
  /** Of the target's, for further targets of the same name. */
  readonly certificate: TestCertificate;
}

export const TARGETS = (roots: string): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${roots} }\n`;

interface StageOptions {
  readonly listen?: string;
  readonly yaml?: string;
  readonly origin?: Omit<OriginOptions, 'certificate'>;
  readonly clock?: Clock;
}

/** Call once a test file, at its top level. Every test must leave `proxy.bugs` empty. */
export const makeH2Stage = (options: StageOptions = {}): H2Stage => {
  const { listen = 'listen: { http2: true }', yaml = '', origin: about = {}, clock } = options;
  let proxy: RunningProxy;
  let origin: Origin;
  let folder: string;
  let certificate: TestCertificate;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'crawlgate-h2-'));
    const roots = join(folder, 'roots.pem');
    const authority = makeAuthority();
    writeFileSync(roots, authority.cert);
    certificate = authority.issue({ hosts: ['shop.localhost'] });
    origin = await makeOrigin({ ...about, certificate });
    proxy = await startProxy(`${listen}\n${TARGETS(roots)}${yaml}`, [], clock);
  });
  beforeEach(() => {
    origin.requests.length = 0;
    origin.fallback = [reply('hello')];
  });
  afterEach(() => expect(proxy.bugs).toEqual([]));
  afterAll(async () => {
    await proxy.close();
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    get proxy() {
      return proxy;
    },
    get origin() {
      return origin;
    },
    get authority() {
      return `shop.localhost:${origin.port}`;
    },
    get certificate() {
      return certificate;
    },
  };
};

/** Controls that leave a request as it is, and its website alone. */
export const PLAIN = {
  'x-crawlera-ua': 'pass',
  'x-crawlera-cookies': 'disable',
  'x-crawlera-max-retries': '0',
} as const;
