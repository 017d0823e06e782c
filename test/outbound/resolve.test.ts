/** Names, addresses and who may be dialled. */
import { describe, expect, it } from 'vitest';
import type { Lookup } from '../../src/outbound/resolve.ts';
import { type Address, makeResolver } from '../../src/outbound/resolve.ts';
import { directExit } from '../support/upstream.ts';
import { faultOf, fetchText, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const addresses = (...list: string[]): Address[] =>
  list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

const answering =
  (...list: string[]): Lookup =>
  (_host, answer) =>
    answer(undefined, addresses(...list));

describe('the resolver', () => {
  it('asks once for a name however many want it, and remembers the answer', () => {
    const asked: string[] = [];
    let reply: (() => void) | undefined;
    const resolver = makeResolver((host, answer) => {
      asked.push(host);
      reply = () => answer(undefined, addresses('192.0.2.1'));
    });
    const seen: string[] = [];
    const note = (_error: Error | undefined, found: readonly Address[]): void => {
      seen.push(found.map(({ address }) => address).join());
    };
    resolver.resolve('a.test', note);
    resolver.resolve('a.test', note);
    reply?.();
    resolver.resolve('a.test', note);
    expect([asked, seen]).toEqual([['a.test'], ['192.0.2.1', '192.0.2.1', '192.0.2.1']]);
  });

  it('needs nobody for literals and for names that are loopback by definition', () => {
    const resolver = makeResolver(() => {
      throw new Error('asked');
    });
    const found: string[] = [];
    for (const host of ['192.0.2.1', '::1', 'localhost', 'a.localhost']) {
      resolver.resolve(host, (_error, list) => found.push(list[0]?.address ?? ''));
    }
    expect(found).toEqual(['192.0.2.1', '::1', '127.0.0.1', '127.0.0.1']);
  });

  it('takes an empty answer for a missing name', () => {
    let code: unknown;
    makeResolver(answering()).resolve('a.test', (error) => {
      code = (error as NodeJS.ErrnoException | undefined)?.code;
    });
    expect(code).toBe('ENOTFOUND');
  });
});

describe('robustness D01 and D03: the address judged is the address dialled', () => {
  it('refuses a name that resolves to what is not permitted, without another try', async () => {
    const judged: string[] = [];
    const out = kit.transport({
      lookup: answering('10.0.0.1', '::1'),
      judgeAddress(ip, host, port) {
        judged.push(`${ip} ${host} ${port}`);
        return false;
      },
    });
    const fault = await faultOf(fetchText(out, requestTo(targetOf('http', 'rebind.test', 81))));
    expect(fault).toMatchObject({ condition: 'domain_forbidden', upstreamFailed: false, sent: 'nothing' });
    expect(judged).toEqual(['10.0.0.1 rebind.test 81', '::1 rebind.test 81']);
  });

  it('dials only what it was allowed, in one resolution', async () => {
    const site = await kit.origin();
    let lookups = 0;
    const out = kit.transport({
      lookup(_host, answer) {
        lookups++;
        answer(undefined, addresses('127.0.0.3', '127.0.0.1'));
      },
      judgeAddress: (ip) => ip === '127.0.0.1',
    });
    const { text } = await fetchText(out, requestTo(targetOf('http', 'rebind.test', site.port)));
    expect([text, lookups]).toEqual(['hello', 1]);
  });

  it('judges literals too', async () => {
    const out = kit.transport({ judgeAddress: () => false });
    const fault = await faultOf(fetchText(out, requestTo(targetOf('http', '127.0.0.1', 81))));
    expect(fault.condition).toBe('domain_forbidden');
  });
});

describe('several addresses', () => {
  it('are tried in turn when one refuses', async () => {
    const site = await kit.origin();
    const out = kit.transport({ lookup: answering('127.0.0.9', '::1', '127.0.0.1') });
    const { response } = await fetchText(out, requestTo(targetOf('http', 'many.test', site.port)));
    expect(response.exit).toBe('127.0.0.1:0');
  });

  it('of another family than the source address are left out', async () => {
    const site = await kit.origin();
    const upstream = directExit('127.0.0.2');
    const both = kit.transport({ lookup: answering('::1', '127.0.0.1') });
    const request = requestTo(targetOf('http', 'many.test', site.port));
    expect((await fetchText(both, request, optionsFor({ upstream }))).text).toBe('hello');
    const none = kit.transport({ lookup: answering('::1') });
    expect((await faultOf(fetchText(none, request, optionsFor({ upstream })))).condition).toBe('ehostunreach');
  });

  it('R-02 an IPv6 exit is shown in brackets', async () => {
    const site = await kit.origin({ host: '::1' });
    const { response } = await fetchText(kit.transport(), requestTo(targetOf('http', '::1', site.port)));
    expect(response.exit).toBe('[::1]:0');
  });
});
