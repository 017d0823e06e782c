/** Every kind of exit, with and without credentials, to http and https targets, with and without a body. */
import { describe, expect, it } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import { directExit, type TestUpstream } from '../support/upstream.ts';
import { fetchText, keptBody, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();
const CREDENTIALS = { username: 'jo', password: 'p:ä s' };

interface Exit {
  readonly model: Upstream;
  readonly proxy: TestUpstream | undefined;
}

type Kind = 'direct' | 'direct from 127.0.0.2' | 'http' | 'https' | 'socks5';

const exitOf = async (kind: Kind, credentials: boolean): Promise<Exit> => {
  if (kind === 'direct') return { model: directExit(), proxy: undefined };
  if (kind === 'direct from 127.0.0.2') return { model: directExit('127.0.0.2'), proxy: undefined };
  const proxy = await kit.upstream({ kind, ...(credentials && CREDENTIALS) });
  return { model: proxy.model, proxy };
};

const cases = (['direct', 'direct from 127.0.0.2', 'http', 'https', 'socks5'] as const).flatMap((kind) =>
  [false, true]
    .filter((credentials) => !credentials || !kind.startsWith('direct'))
    .flatMap((credentials) =>
      (['http', 'https'] as const).flatMap((scheme) =>
        (['GET', 'POST'] as const).map((method) => ({ kind, credentials, scheme, method })),
      ),
    ),
);

/** What the upstream itself must have seen of the request. */
const expectSeen = (proxy: TestUpstream, kind: Kind, scheme: string, authority: string, method: string): void => {
  const [seen = ''] = proxy.seen;
  if (kind === 'socks5') expect(seen).toBe(`3 ${authority}`);
  else if (scheme === 'https')
    expect(seen.startsWith(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n`)).toBe(true);
  else expect(seen.startsWith(`${method} http://${authority}/p?q HTTP/1.1\r\nHost: ${authority}\r\n`)).toBe(true);
};

describe('the matrix', () => {
  it.each(cases)('$kind, credentials $credentials: $method over $scheme', async (row) => {
    const { kind, credentials, scheme, method } = row;
    const site = scheme === 'https' ? await kit.secureOrigin() : await kit.origin();
    const { model, proxy } = await exitOf(kind, credentials);
    const target = targetOf(scheme, 'shop.localhost', site.port);
    const body = method === 'POST' ? keptBody('sent') : undefined;
    const request = requestTo(target, { method, body, path: '/p?q' });
    const { response, text } = await fetchText(kit.transport(), request, optionsFor({ upstream: model }));
    expect([response.status, response.reason, text]).toEqual([200, 'OK', 'hello']);
    const [seen] = site.requests;
    expect([seen?.body, seen?.servername]).toEqual([body ? 'sent' : '', scheme === 'https' ? target.host : undefined]);
    expect(seen?.head).not.toMatch(/proxy|via|forwarded/i);
    if (!proxy) return;
    expect(response.exit).toBe(model.label);
    expect(proxy.logins).toEqual(credentials ? ['jo:p:ä s'] : []);
    expectSeen(proxy, kind, scheme, target.authority, method);
  });
});
