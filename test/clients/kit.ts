/** What every client's test needs: a site over http and https, upstreams, a running crawlgate, the CA file, programs as child processes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Listening, listen } from '../support/sockets.ts';
import { makeUpstream, type TestUpstream } from '../support/upstream.ts';
import { type ClientId, suiteName, versionOf } from './programs.ts';

/** A client's checks: they run where the client is installed, and the list at the end of the run tells which did. */
export const describeClient = (id: ClientId, checks: () => void): void => {
  describe.runIf(versionOf(id) !== undefined)(suiteName(id), checks);
};

/** Every name under `.localhost`, on loopback whatever the machine's resolver thinks. */
export const SITE = 'shop.localhost';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface Site {
  readonly http: Listening;
  readonly https: Listening;
  /** `http://shop.localhost:PORT` */
  readonly httpUrl: string;
  /** `https://shop.localhost:PORT` */
  readonly httpsUrl: string;
  /** Requests in order of arrival, both schemes. */
  readonly seen: SeenRequest[];
  /** PEM of the root that signed the site's certificate. */
  readonly root: string;
  /** For `upgrade` listeners. */
  readonly servers: readonly [ReturnType<typeof createServer>, ReturnType<typeof createSecureServer>];
  close(): Promise<void>;
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly secure: boolean;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly atMs: number;
}

/** Answers `handler`'s way; without one, a small HTML page that names its address. */
export const startSite = async (handler?: Handler): Promise<Site> => {
  const authority = makeAuthority();
  const { cert, key } = authority.issue({ hosts: ['localhost', '*.localhost', SITE] });
  const seen: SeenRequest[] = [];
  const answer: Handler =
    handler ??
    ((request, response) => {
      response.setHeader('Content-Type', 'text/html');
      response.end(`<html><body>page ${request.url}</body></html>`);
    });
  const take =
    (secure: boolean) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      const { method = '', url = '', headers, rawHeaders } = request;
      seen.push({ method, url, secure, headers, rawHeaders, atMs: performance.now() });
      answer(request, response);
    };
  const plain = createServer(take(false));
  const tls = createSecureServer({ cert, key }, take(true));
  const http = await listen(plain);
  const https = await listen(tls);
  return {
    http,
    https,
    httpUrl: `http://${SITE}:${http.port}`,
    httpsUrl: `https://${SITE}:${https.port}`,
    seen,
    root: authority.cert,
    servers: [plain, tls],
    close: async () => {
      await http.close();
      await https.close();
    },
  };
};

export interface TownOptions {
  /** How many upstreams; 0 = one direct exit. */
  readonly upstreams?: number;
  /** Configuration beside the tests' own; whole sections. */
  readonly yaml?: string;
  readonly handler?: Handler;
}

/** A site, its upstreams and a crawlgate in front of them; closed when the test is over. */
export interface Town {
  readonly site: Site;
  readonly upstreams: readonly TestUpstream[];
  readonly proxy: RunningProxy;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** `http://KEY:@127.0.0.1:PORT` */
  readonly proxyUrl: string;
  readonly key: string;
  /** crawlgate's CA as a client is given it. */
  readonly caFile: string;
  /** An empty folder for whatever the client leaves. */
  readonly folder: string;
}

const TARGETS = (rootFile: string): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${rootFile} }`;

/** Starts a town for one test: call it inside the test. */
export const startTown = async ({ upstreams: count = 0, yaml = '', handler }: TownOptions = {}): Promise<Town> => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-client-'));
  const site = await startSite(handler);
  const rootFile = join(folder, 'site-root.pem');
  writeFileSync(rootFile, site.root);
  const upstreams = await Promise.all(Array.from({ length: count }, () => makeUpstream({ kind: 'http' })));
  const urls = upstreams.map(({ port }) => `http://127.0.0.1:${port}`);
  const proxy = await startProxy(`${TARGETS(rootFile)}\n${yaml}`, urls);
  onTestFinished(async () => {
    await proxy.close();
    await Promise.all(upstreams.map((one) => one.close()));
    await site.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  return {
    site,
    upstreams,
    proxy,
    address: `127.0.0.1:${proxy.port}`,
    proxyUrl: `http://${KEY}:@127.0.0.1:${proxy.port}`,
    key: KEY,
    caFile: join(proxy.folder, 'certs', 'crawlera-ca.crt'),
    folder,
  };
};
