/** The admin port: health for whoever restarts processes, metrics for whoever watches them. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseBasic } from '../policy/authenticate.ts';

export interface AdminPorts {
  readonly host: string;
  readonly port: number;
  readonly key: string;
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Serves requests, and is not about to stop. */
  ready(): boolean;
}

export interface Admin {
  readonly address: AddressInfo;
  close(): void;
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Page => ({ status, type: 'text/plain; charset=utf-8', body });

type Show = (ports: AdminPorts) => Page | Promise<Page>;

/** `open` needs no key: orchestrators have none. */
const PAGES: Readonly<Record<string, { readonly open: boolean; readonly show: Show }>> = {
  '/healthz': { open: true, show: () => text(200, 'ok\n') },
  '/readyz': { open: true, show: ({ ready }) => (ready() ? text(200, 'ready\n') : text(503, 'not ready\n')) },
  '/metrics': {
    open: false,
    show: async ({ metrics }) => ({ status: 200, type: 'text/plain; version=0.0.4', body: await metrics() }),
  },
};

const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

/** `Basic` with the key as user name or `Bearer`; compared in constant time. */
const knows = (request: IncomingMessage, key: string): boolean => {
  const { authorization } = request.headers;
  if (authorization === undefined) return false;
  const given = /^bearer /i.test(authorization) ? authorization.slice(7).trim() : parseBasic(authorization);
  return given !== undefined && timingSafeEqual(digest(given), digest(key));
};

const answer = async (ports: AdminPorts, request: IncomingMessage): Promise<Page> => {
  const page = PAGES[(request.url ?? '').split('?')[0] ?? ''];
  if (page?.open !== true && !knows(request, ports.key)) return text(401, 'admin key needed\n');
  if (!page) return text(404, 'unknown page\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'method not allowed\n');
  return page.show(ports);
};

/** Rejects when the address cannot be bound. */
export const openAdmin = (ports: AdminPorts): Promise<Admin> => {
  const write = (response: ServerResponse, { status, type, body }: Page): void => {
    const headers = { 'Content-Type': type, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };
    response.writeHead(
      status,
      status === 401 ? { ...headers, 'WWW-Authenticate': 'Basic realm="crawlgate"' } : headers,
    );
    response.end(body);
  };
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
    answer(ports, request).then(
      (page) => write(response, page),
      () => write(response, text(500, 'not available\n')),
    );
  });
  server.maxConnections = 100;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(ports.port, ports.host, () => {
      server.removeListener('error', reject);
      resolve({
        address: server.address() as AddressInfo,
        close() {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
};
