/** Reading the `store` setting, and what the operator hears of a Redis that comes and goes. */
import { describe, expect, it } from 'vitest';
import { makeNotices } from '../../src/store/redis-notices.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';

describe('the store setting', () => {
  it('is no Redis when it says memory, and an error when it is no URL of one', () => {
    expect(readRedisUrl('memory')).toBeUndefined();
    for (const bad of ['', 'http://h:1', 'redis:/h', 'redis://', 'redis://u:p@/0']) {
      expect(() => readRedisUrl(bad), bad).toThrow(/^store: /);
    }
  });

  it.each([
    ['redis://h', { nodes: [{ host: 'h', port: 6379 }], tls: false, cluster: false, db: 0 }],
    ['redis://h:7000/3', { nodes: [{ host: 'h', port: 7000 }], db: 3 }],
    ['redis://h/', { db: 0 }],
    ['rediss://[::1]:7000', { nodes: [{ host: '::1', port: 7000 }], tls: true }],
    ['redis://:a%40b@h', { username: undefined, password: 'a@b' }],
    ['redis://only@h', { username: undefined, password: 'only' }],
    ['redis://u:p:q@h', { username: 'u', password: 'p:q' }],
    ['redis://:100%@h', { password: '100%' }],
    [
      'redis+cluster://:s@a:1,b:2,c',
      {
        cluster: true,
        password: 's',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
      },
    ],
  ])('reads %s', (text, expected) => {
    expect(readRedisUrl(text)).toMatchObject(expected);
  });

  it('shows no login', () => {
    expect(readRedisUrl('redis+cluster://user:s3cret@a:1,b:2')?.shown).toBe('a:1,b:2');
  });
});

describe('the operator', () => {
  it('robustness G14 hears of a loss at once, then at most once a minute, and of the return of what was told', () => {
    let now = 0;
    const said: string[] = [];
    const clock = { now: () => now, after: () => ({ cancel: () => undefined }) };
    const notices = makeNotices('h:6379', 'alone', clock, (line) => said.push(line));
    notices.onLost('ECONNREFUSED');
    notices.onBack();
    for (let i = 0; i < 100; i++) {
      now += 500;
      notices.onLost('again');
      notices.onBack();
    }
    expect(said).toEqual([
      expect.stringMatching(/^store: Redis at h:6379 is away \(ECONNREFUSED\): .*alone/),
      'store: Redis at h:6379 is back',
    ]);
    now = 60_000;
    notices.onLost('later');
    expect(said).toHaveLength(3);
  });
});
