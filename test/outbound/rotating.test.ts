/** Gateways that change their exit by themselves. */
import { describe, expect, it } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import type { TestUpstream } from '../support/upstream.ts';
import { fetchText, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const rotating = ({ model }: TestUpstream, more: Partial<Upstream> = {}): Upstream => ({
  ...model,
  rotating: true,
  ...more,
});

describe('A-13 a rotating upstream', () => {
  it.each(['http', 'https'] as const)(
    'gets a fresh connection for every attempt outside sessions: %s',
    async (scheme) => {
      const site = scheme === 'https' ? await kit.secureOrigin() : await kit.origin();
      const proxy = await kit.upstream({ kind: 'http' });
      const out = kit.transport();
      const request = requestTo(targetOf(scheme, 'shop.localhost', site.port));
      const options = optionsFor({ upstream: rotating(proxy) });
      for (let i = 0; i < 3; i++) expect((await fetchText(out, request, options)).response.reused).toBe(false);
      expect([proxy.accepted(), site.requests.some(({ sessionReused }) => sessionReused)]).toEqual([3, false]);
    },
  );

  it('keeps its connection inside a session', async () => {
    const site = await kit.secureOrigin();
    const proxy = await kit.upstream({ kind: 'http' });
    const out = kit.transport();
    const request = requestTo(targetOf('https', 'shop.localhost', site.port));
    const options = optionsFor({ upstream: rotating(proxy), owner: 'a/1234567', session: '1234567' });
    await fetchText(out, request, options);
    expect((await fetchText(out, request, options)).response.reused).toBe(true);
  });

  it.each(['http', 'socks5'] as const)('is told the session in place of {session}: %s', async (kind) => {
    const site = await kit.origin();
    const proxy = await kit.upstream({ kind, username: 'jo-1234567', password: 'p-1234567' });
    const upstream = rotating(proxy, {
      username: 'jo-{session}',
      password: 'p-{session}',
      host: '{session}.localhost',
    });
    const request = requestTo(targetOf('http', 'shop.localhost', site.port));
    const options = optionsFor({ upstream, owner: 'a/1234567', session: '1234567' });
    expect((await fetchText(kit.transport(), request, options)).text).toBe('hello');
    expect(proxy.logins).toEqual(['jo-1234567:p-1234567']);
  });

  it('gets a number of its own in place of {session} outside sessions', async () => {
    const proxy = await kit.upstream({ kind: 'http', username: 'known' });
    const upstream = rotating(proxy, { username: 'jo-{session}' });
    const request = requestTo(targetOf('http', 'shop.localhost', 80));
    for (let i = 0; i < 2; i++) {
      await expect(fetchText(kit.transport(), request, optionsFor({ upstream }))).rejects.toThrow('noslaves');
    }
    const [first = '', second = ''] = proxy.logins;
    expect([first, second]).toEqual([expect.stringMatching(/^jo-\d+:$/), expect.stringMatching(/^jo-\d+:$/)]);
    expect(first).not.toBe(second);
  });
});
