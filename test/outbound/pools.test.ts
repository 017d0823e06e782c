/** Connections kept between requests: who shares them, how long, and what happens when they die. */
import { describe, expect, it } from 'vitest';
import type { AttemptOptions, OutboundRequest, Transport } from '../../src/pipeline/ports.ts';
import { type Origin, reply } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { makeFakeClock } from './fake-clock.ts';
import { type Answer, faultOf, fetchText, keptBody, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const to = (site: Origin, more: Partial<OutboundRequest> = {}): OutboundRequest =>
  requestTo(targetOf('http', '127.0.0.1', site.port), more);

const timed = (pools = { perKey: 8, total: 100, idleMs: 15_000 }): { out: Transport; advance(ms: number): void } => {
  const clock = makeFakeClock();
  const out = kit.transport({ clock, ticks: clock.now, pools });
  return { out, advance: clock.advance };
};

describe('robustness C05: a kept connection', () => {
  const site = (): Promise<Origin> => kit.secureOrigin(['shop.localhost', 'other.localhost']);
  const base = optionsFor();
  const differences: Record<string, { request?: Partial<OutboundRequest>; options?: Partial<AttemptOptions> }> = {
    'another account': { options: { owner: 'b' } },
    'a session of the account': { options: { owner: 'a/123', session: '123' } },
    'another upstream': { options: { upstream: { ...base.upstream, id: 'direct-too' } } },
    'another name in TLS': { request: { servername: 'other.localhost' } },
    'an unverified target': { request: { insecureTarget: true } },
  };

  it.each(Object.entries(differences))('is not shared with %s', async (_name, { request, options }) => {
    const origin = await site();
    const out = kit.transport();
    const target = targetOf('https', 'shop.localhost', origin.port);
    await fetchText(out, requestTo(target));
    const other = await fetchText(out, requestTo(target, request), optionsFor(options));
    const same = await fetchText(out, requestTo(target));
    expect([other.response.reused, same.response.reused, origin.accepted()]).toEqual([false, true, 2]);
  });

  it('to an upstream carries nobody else’s credentials', async () => {
    const origin = await kit.origin();
    const out = kit.transport();
    const first = await kit.upstream({ kind: 'http', username: 'jo', password: 'one' });
    const second = await kit.upstream({ kind: 'http', username: 'al', password: 'two' });
    for (const { model } of [first, second, first, second]) {
      await fetchText(out, to(origin), optionsFor({ upstream: model }));
    }
    expect([new Set(first.logins), new Set(second.logins)]).toEqual([new Set(['jo:one']), new Set(['al:two'])]);
    expect(origin.received()).not.toMatch(/authorization/i);
  });
});

describe('a kept connection', () => {
  it.each([
    ['when the target closes', reply('a', 'Connection: close\r\n')],
    ['when bytes follow the response', `${reply('a')}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX`],
    ['when a 204 announces a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n'],
  ])('is not used again %s', async (_name, text) => {
    const site = await kit.origin();
    const out = kit.transport();
    site.enqueue(text);
    await fetchText(out, to(site));
    const { text: next, response } = await fetchText(out, to(site));
    expect([next, response.reused]).toEqual(['hello', false]);
  });

  it('is dropped when data or an end arrives while it is idle', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    for (const act of ['HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', 'close'] as const) {
      site.enqueue(reply('a'), { wait: 20 }, act);
      await fetchText(out, to(site));
      await until(() => site.open.size === 0);
      const { text, response } = await fetchText(out, to(site));
      expect([text, response.reused]).toEqual(['hello', false]);
      for (const socket of site.open) socket.destroy();
      await until(() => site.open.size === 0);
    }
  });

  it('goes after its idle time, or before what the target announced', async () => {
    const { out, advance } = timed();
    const site = await kit.origin();
    await fetchText(out, to(site));
    advance(14_000);
    expect((await fetchText(out, to(site))).response.reused).toBe(true);
    advance(17_000);
    await until(() => site.open.size === 0);
    site.enqueue(reply('a', 'Keep-Alive: timeout=5, max=100\r\n'));
    await fetchText(out, to(site));
    advance(4_001);
    expect((await fetchText(out, to(site))).response.reused).toBe(false);
  });

  it('is bounded in number, for each key and in all', async () => {
    const site = await kit.origin();
    const burst = async (out: Transport, owners: readonly string[]): Promise<void> => {
      await Promise.all(owners.map((owner) => fetchText(out, to(site), optionsFor({ owner }))));
    };
    await burst(timed({ perKey: 2, total: 100, idleMs: 1_000 }).out, ['a', 'a', 'a', 'a', 'a', 'b']);
    await until(() => site.open.size === 3);
    await burst(timed({ perKey: 10, total: 4, idleMs: 1_000 }).out, ['1', '2', '3', '4', '5', '6', '7', '8']);
    await until(() => site.open.size === 7);
  });
});

describe('A-02 a kept connection that dies', () => {
  /** The first answer closes nothing; the second request finds a dead connection. */
  const dying = async (
    end: 'close' | 'reset',
    more: Partial<OutboundRequest> = {},
  ): Promise<[Origin, Promise<Answer>]> => {
    const site = await kit.origin();
    const { out, advance } = timed();
    await fetchText(out, to(site));
    advance(100);
    site.enqueue(end);
    return [site, fetchText(out, to(site, more))];
  };

  it.each(['close', 'reset'] as const)('before a byte came is replaced silently, once: %s', async (end) => {
    const [site, answer] = await dying(end);
    const { response, text } = await answer;
    expect([text, response.reused, site.requests.length]).toEqual(['hello', false, 3]);
    const [, again] = await dying(end, { method: 'DELETE' });
    expect((await again).text).toBe('hello');
  });

  it('is not replaced twice', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    await fetchText(out, to(site));
    site.enqueue('close');
    site.enqueue('close');
    const fault = await faultOf(fetchText(out, to(site)));
    expect(fault).toMatchObject({ condition: 'socket_closed_remotely', sent: 'all', headRead: false });
    expect(site.requests).toHaveLength(3);
  });

  it.each([{ method: 'POST' }, { method: 'PATCH' }, { method: 'PUT', body: keptBody('x') }])(
    'robustness H07: is never replaced silently for %j',
    async (more) => {
      const [site, answer] = await dying('close', more);
      expect(await faultOf(answer)).toMatchObject({ condition: 'socket_closed_remotely', sent: 'all' });
      expect(site.requests).toHaveLength(2);
    },
  );

  it('after a byte came is not replaced', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    await fetchText(out, to(site));
    site.enqueue('HTTP/1.1', 'close');
    expect(await faultOf(fetchText(out, to(site)))).toMatchObject({ headRead: true });
    expect(site.requests).toHaveLength(2);
  });

  it('is not trusted with what cannot be repeated until it has proved itself', async () => {
    const site = await kit.origin();
    const { out, advance } = timed();
    const post = (): Promise<Answer> => fetchText(out, to(site, { method: 'POST', body: keptBody('x') }));
    await fetchText(out, to(site));
    expect((await post()).response.reused).toBe(false);
    advance(1_050);
    expect((await post()).response.reused).toBe(true);
    expect((await post()).response.reused).toBe(true);
    advance(5_000);
    expect((await post()).response.reused).toBe(false);
  });
});
