import { describe, expect, it } from 'vitest';
import { makeOwnPlaces } from '../../src/policy/own-places.ts';
import { makeGuard, makeTarget } from '../../src/policy/route.ts';

const NAMES = ['Proxy.Example', '192.0.2.7', '2001:db8::7', 'box'];

const places = (store: readonly { host: string; port: number }[] = []) =>
  makeOwnPlaces({ names: NAMES, proxyPorts: [8010, 8014], adminPort: 8012, store });

const LOCAL = ['127.0.0.1', '127.255.0.9', '::1', '0.0.0.0', '::', 'localhost'];

describe('the proxy itself (T-14)', () => {
  it.each([...LOCAL, 'proxy.example', '192.0.2.7', '2001:db8::7', 'box'])('T-14 knows itself as %s', (host) => {
    expect(places().proxy(host, 8010)).toBe(true);
    expect(places().proxy(host, 8014)).toBe(true);
  });

  it.each([
    ['another port', '127.0.0.1', 8011],
    ['the admin port, which is no endpoint of the proxy port', '127.0.0.1', 8012],
    ['another host', 'shop.example', 8010],
    ['a name that only begins like an address', '127.0.0.1.shop.example', 8010],
    ['a name that starts with 127', '127.shop.example', 8010],
    ['an address beside its own', '192.0.2.8', 8010],
  ])('T-14 leaves %s alone', (_what, host, port) => {
    expect(places().proxy(host, port)).toBe(false);
  });
});

describe('what is never reached through the proxy (robustness D05)', () => {
  it.each([...LOCAL, 'proxy.example', 'box'])('robustness D05 has the admin port among them, as %s', (host) => {
    expect(places().any(host, 8012)).toBe(true);
    expect(places().any(host, 8010)).toBe(true);
    expect(places().any(host, 8011)).toBe(false);
  });

  it.each(LOCAL)('robustness D05 knows a store on this machine as %s too, however it was configured', (host) => {
    expect(places([{ host: 'box', port: 6379 }]).any(host, 6379)).toBe(true);
    expect(places([{ host: '127.0.0.1', port: 6380 }]).any('box', 6380)).toBe(true);
    expect(places([{ host: 'redis.example', port: 6379 }]).any(host, 6379)).toBe(false);
  });

  it('robustness D05 knows a store elsewhere by each of its names and addresses, on its port alone', () => {
    const own = places([
      { host: 'redis.example', port: 6379 },
      { host: '198.51.100.4', port: 6379 },
    ]);
    expect(own.any('redis.example', 6379)).toBe(true);
    expect(own.any('198.51.100.4', 6379)).toBe(true);
    expect(own.any('redis.example', 80)).toBe(false);
    expect(own.any('other.example', 6379)).toBe(false);
  });

  it('robustness D05 holds in every spelling once the guard has read it, private addresses allowed or not', () => {
    const guard = makeGuard({
      ports: [[1, 65_535]],
      allowPrivate: ['0.0.0.0/0', '::/0', 'localhost', '*.localhost'],
      forbidden: () => false,
      own: places([{ host: 'localhost', port: 6379 }]).any,
    });
    const hosts = ['localhost', 'any.localhost', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '192.0.2.7'];
    for (const host of hosts) {
      for (const port of [8010, 8012, 8014, 6379])
        expect(guard.judge(makeTarget('http', host, port)), `${host} ${port}`).toBe('forbidden');
      expect(guard.judge(makeTarget('http', host, 9999)), host).toBe('ok');
    }
    expect(guard.judgeAddress('::ffff:192.0.2.7', 'alias.example', 8012)).toBe(false);
    expect(guard.judgeAddress('127.0.1.1', 'alias.example', 6379)).toBe(false);
  });
});
