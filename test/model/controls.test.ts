import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CONTROL_HEADERS,
  type Controls,
  isControlHeader,
  looksLikeControl,
  type NameOverrides,
  readControls,
} from '../../src/model/controls.ts';
import { Refusal } from '../../src/model/errors.ts';
import type { HeaderList } from '../../src/model/headers.ts';
import type { Plan } from '../../src/model/job.ts';

const LIMITS = { responseMs: 30_000, responseMinMs: 30_000, responseMaxMs: 180_000, retries: 5 };

interface Extra {
  readonly connect?: HeaderList;
  readonly defaults?: HeaderList;
  readonly plan?: Plan;
  readonly overrides?: NameOverrides;
  readonly limits?: typeof LIMITS;
}

const read = (request: HeaderList, extra: Extra = {}): Controls =>
  readControls(
    { request, connect: extra.connect, defaults: extra.defaults ?? [] },
    extra.plan ?? 'enterprise',
    extra.limits ?? LIMITS,
    extra.overrides,
  );

const refusalOf = (act: () => unknown): { condition: string; subject: string | undefined } => {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return { condition: error.condition, subject: error.detail.subject };
    throw error;
  }
  throw new Error('nothing was refused');
};

const ABSENT: Controls = {
  ua: 'desktop',
  profile: undefined,
  profilePass: [],
  noBancheck: false,
  cookies: 'enable',
  session: undefined,
  jobId: undefined,
  maxRetries: undefined,
  timeoutMs: 30_000,
  debugRequestTime: false,
  debugUa: false,
  debugAttempts: false,
  useHttps: false,
  region: undefined,
  client: undefined,
};

describe('absent values', () => {
  it('H-12 a request without control headers gets the documented defaults', () => {
    expect(read(['Host', 'shop.localhost', 'Accept', '*/*'])).toEqual(ABSENT);
  });

  it('all such requests share one frozen object a configuration', () => {
    const defaults: HeaderList = [];
    const first = read(['Host', 'a'], { defaults });
    expect(Object.isFrozen(first)).toBe(true);
    expect(read(['X-Forwarded-For', 'b'], { defaults, connect: ['Host', 'c'] })).toBe(first);
    expect(read([], { defaults, overrides: { sessionName: false, region: undefined } })).toBe(first);
  });

  it('another configuration has its own', () => {
    expect(read([], { limits: { ...LIMITS, responseMs: 45_000 } }).timeoutMs).toBe(45_000);
    expect(read([]).timeoutMs).toBe(30_000);
  });

  it('every field of Controls has a row that gives its absent value', () => {
    const fields = CONTROL_HEADERS.flatMap((header) => Object.keys(header.absent));
    expect(fields.sort()).toEqual(Object.keys(ABSENT).sort());
  });
});

describe('values of section 3.1', () => {
  it.each<[name: string, value: string, expected: Partial<Controls>]>([
    ['X-Crawlera-UA', 'pass', { ua: 'pass' }],
    ['X-Crawlera-UA', 'DeskTop', { ua: 'desktop' }],
    ['X-Crawlera-UA', ' mobile ', { ua: 'mobile' }],
    ['X-Crawlera-UA', '', { ua: 'desktop' }],
    ['X-Crawlera-Profile', 'pass', { profile: 'pass' }],
    ['X-Crawlera-Profile', 'Desktop', { profile: 'desktop' }],
    ['X-Crawlera-Profile', 'mobile', { profile: 'mobile' }],
    ['X-Crawlera-Profile', ' ', { profile: undefined }],
    ['X-Crawlera-Profile-Pass', 'Accept-Language, DNT', { profilePass: ['accept-language', 'dnt'] }],
    ['X-Crawlera-Profile-Pass', ',;: \u00e9', { profilePass: [';: \u00e9'] }],
    ['X-Crawlera-No-Bancheck', '1', { noBancheck: true }],
    ['X-Crawlera-No-Bancheck', '0', { noBancheck: true }],
    ['X-Crawlera-No-Bancheck', '', { noBancheck: true }],
    ['X-Crawlera-Cookies', 'disable', { cookies: 'disable' }],
    ['X-Crawlera-cookies', 'Discard', { cookies: 'discard' }],
    ['X-Crawlera-Cookies', 'enable', { cookies: 'enable' }],
    ['X-Crawlera-Session', 'create', { session: 'create' }],
    ['X-Crawlera-Session', 'CREATE', { session: 'create' }],
    ['X-Crawlera-Session', ' 1836172 ', { session: '1836172' }],
    ['X-Crawlera-Session', 'no such id', { session: 'no such id' }],
    ['X-Crawlera-Session', '', { session: undefined }],
    ['X-Crawlera-Jobid', '999', { jobId: '999' }],
    ['X-Crawlera-Max-Retries', '0', { maxRetries: 0 }],
    ['X-Crawlera-Max-Retries', '5', { maxRetries: 5 }],
    ['X-Crawlera-Timeout', '40000', { timeoutMs: 40_000 }],
    ['X-Crawlera-Timeout', '300000', { timeoutMs: 180_000 }],
    ['X-Crawlera-Timeout', '0', { timeoutMs: 30_000 }],
    ['X-Crawlera-Timeout', '-5', { timeoutMs: 30_000 }],
    ['X-Crawlera-Timeout', '9'.repeat(400), { timeoutMs: 180_000 }],
    ['X-Crawlera-Debug', 'request-time', { debugRequestTime: true }],
    ['X-Crawlera-Debug', 'ua , Request-Time', { debugRequestTime: true, debugUa: true }],
    ['X-Crawlera-Debug', 'attempts', { debugAttempts: true }],
    ['X-Crawlera-Debug', 'True', {}],
    ['x-crawlera-use-https', '1', { useHttps: true }],
    ['X-Crawlera-Use-Https', '0', { useHttps: false }],
    ['X-Crawlera-Region', 'US', { region: 'us' }],
    ['X-Crawlera-Client', 'scrapy-zyte-smartproxy/2.4.1', { client: 'scrapy-zyte-smartproxy/2.4.1' }],
  ])('H-12 %s: %j', (name, value, expected) => {
    expect(read([name, value])).toEqual({ ...ABSENT, ...expected });
  });

  it.each([
    ['X-Crawlera-UA', 'crawlera'],
    ['X-Crawlera-UA', 'chrome'],
    ['X-Crawlera-Profile', 'tablet'],
    ['X-Crawlera-Cookies', 'no'],
    ['X-Crawlera-Max-Retries', '6'],
    ['X-Crawlera-Max-Retries', '-1'],
    ['X-Crawlera-Max-Retries', '1.5'],
    ['X-Crawlera-Max-Retries', 'many'],
    ['X-Crawlera-Timeout', '30s'],
    ['X-Crawlera-Timeout', '1e5'],
    ['X-Crawlera-Timeout', '40000.5'],
    ['X-Crawlera-Use-Https', 'yes'],
    ['X-Crawlera-Use-Https', '01'],
    ['X-Crawlera-Region', 'usa'],
    ['X-Crawlera-Region', '1'],
    ['X-Crawlera-Region', 'u\u00e9'],
  ])('H-13 robustness H10 %s: %s is refused with 540 and the canonical name', (name, value) => {
    expect(refusalOf(() => read([name.toLowerCase(), value]))).toEqual({ condition: 'bad_header', subject: name });
  });

  it('H-15 the set every browser plugin sends works', () => {
    const sent = ['X-Crawlera-Profile', 'pass', 'X-Crawlera-No-Bancheck', '1', 'X-Crawlera-Cookies', 'disable'];
    const controls = read([
      ...sent,
      'X-Crawlera-Session',
      '1234567',
      'X-Crawlera-Client',
      'zyte-smartproxy-puppeteer/1.0.13',
    ]);
    expect(controls).toMatchObject({ profile: 'pass', noBancheck: true, cookies: 'disable', session: '1234567' });
  });

  it('H-14 profile and agent stand beside each other; the profile is the one that counts', () => {
    expect(read(['X-Crawlera-UA', 'mobile', 'X-Crawlera-Profile', 'desktop'])).toMatchObject({
      ua: 'mobile',
      profile: 'desktop',
    });
  });

  it('H-03 the last of several wins, an empty last one counts as absent', () => {
    expect(read(['X-Crawlera-Session', '1', 'x-crawlera-session', '2']).session).toBe('2');
    expect(read(['X-Crawlera-UA', 'mobile', 'X-Crawlera-UA', '']).ua).toBe('desktop');
    expect(read(['X-Crawlera-UA', 'nonsense', 'X-Crawlera-UA', 'pass']).ua).toBe('pass');
  });

  it.each([
    'X-Crawlera-Wait',
    'X-Crawlera-NO-UA',
    'X-Crawlera-State',
    'X-Crawlera-City',
    'Zyte-Anything',
    'X-Crawlera-',
  ])('H-04 H-23 H-27 H-28 %s is ignored', (name) => {
    expect(read([name, 'whatever'])).toEqual(ABSENT);
  });

  it('H-17 a configured limit below what a client asks caps it, one above allows more', () => {
    expect(read(['X-Crawlera-Max-Retries', '4'], { limits: { ...LIMITS, retries: 2 } }).maxRetries).toBe(2);
    expect(read(['X-Crawlera-Max-Retries', '8'], { limits: { ...LIMITS, retries: 10 } }).maxRetries).toBe(8);
    const limits = { ...LIMITS, retries: 10 };
    expect(refusalOf(() => read(['X-Crawlera-Max-Retries', '11'], { limits })).condition).toBe('bad_header');
  });

  it('robustness B02 a job id loses control characters and all past 256 characters', () => {
    expect(read(['X-Crawlera-JobId', 'a\u0000b\tc\u007f\u009bd']).jobId).toBe('abcd');
    expect(read(['X-Crawlera-JobId', 'x'.repeat(300)]).jobId).toBe('x'.repeat(256));
    expect(read(['X-Crawlera-JobId', '\u{1f600}'.repeat(300)]).jobId).toBe('\u{1f600}'.repeat(256));
    expect(read(['X-Crawlera-JobId', '\u0001\u0002']).jobId).toBeUndefined();
  });

  it('robustness B02 no job id or client text puts a control character into a log', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        const { jobId = '', client = '' } = read(['X-Crawlera-JobId', text, 'X-Crawlera-Client', text]);
        for (const out of [jobId, client]) {
          expect([...out].length).toBeLessThanOrEqual(256);
          expect([...out].every((c) => c >= ' ' && (c < '\u007f' || c > '\u009f'))).toBe(true);
        }
      }),
    );
  });

  it('H-16 any integer is a timeout between the bounds', () => {
    fc.assert(
      fc.property(fc.integer(), (ms) => {
        const { timeoutMs } = read(['X-Crawlera-Timeout', String(ms)]);
        expect(timeoutMs).toBe(Math.min(Math.max(ms, 30_000), 180_000));
      }),
    );
  });
});

describe('H-08 Zyte twins', () => {
  it.each<[name: string, value: string, expected: Partial<Controls>]>([
    ['Zyte-Device', 'mobile', { profile: 'mobile' }],
    ['Zyte-Geolocation', 'DE', { region: 'de' }],
    ['zyte-jobid', '7', { jobId: '7' }],
    ['Zyte-Override-Headers', 'Accept', { profilePass: ['accept'] }],
  ])('%s stands in for an absent control header', (name, value, expected) => {
    expect(read([name, value])).toEqual({ ...ABSENT, ...expected });
  });

  it('gives way to the X-Crawlera header, but not to an empty one', () => {
    expect(read(['Zyte-JobId', 'twin', 'X-Crawlera-JobId', 'own']).jobId).toBe('own');
    expect(read(['Zyte-JobId', 'twin', 'X-Crawlera-JobId', '']).jobId).toBe('twin');
    expect(read(['Zyte-JobId', '']).jobId).toBeUndefined();
  });

  it('is named as sent when refused', () => {
    expect(refusalOf(() => read(['zyte-device', 'fridge']))).toEqual({
      condition: 'bad_header',
      subject: 'Zyte-Device',
    });
    expect(refusalOf(() => read(['Zyte-Device', 'mobile'], { plan: 'c10' }))).toEqual({
      condition: 'header_auth',
      subject: 'zyte-device',
    });
  });
});

describe('plans', () => {
  const GATED = ['X-Crawlera-UA', 'X-Crawlera-No-Bancheck', 'X-Crawlera-Profile', 'X-Crawlera-Profile-Pass'];

  it.each(GATED)('H-09 H-10 C10 may not use %s; the refusal names it in lower case', (name) => {
    expect(refusalOf(() => read([name, 'pass'], { plan: 'c10' }))).toEqual({
      condition: 'header_auth',
      subject: name.toLowerCase(),
    });
  });

  it.each(['c50', 'c100', 'c200', 'enterprise'] as const)('H-10 %s may use everything', (plan) => {
    expect(() =>
      read(
        GATED.flatMap((name) => [name, 'pass']),
        { plan },
      ),
    ).not.toThrow();
  });

  it('H-10 Cookies, Timeout, Session, JobId and Max-Retries are in every plan', () => {
    const sent = ['X-Crawlera-Cookies', 'disable', 'X-Crawlera-Timeout', '40000', 'X-Crawlera-Session', '1'];
    const more = ['X-Crawlera-JobId', 'j', 'X-Crawlera-Max-Retries', '1'];
    expect(() => read([...sent, ...more], { plan: 'c10' })).not.toThrow();
  });

  it('H-07 gating of every header comes before the value of any', () => {
    const sent = ['X-Crawlera-Cookies', 'nonsense', 'X-Crawlera-UA', 'pass'];
    expect(refusalOf(() => read(sent, { plan: 'c10' })).condition).toBe('header_auth');
    expect(refusalOf(() => read(sent)).condition).toBe('bad_header');
  });

  it('H-02 an empty value is absent, so nothing is gated; presence of No-Bancheck counts', () => {
    expect(read(['X-Crawlera-UA', ''], { plan: 'c10' })).toEqual(ABSENT);
    expect(refusalOf(() => read(['X-Crawlera-No-Bancheck', ''], { plan: 'c10' })).condition).toBe('header_auth');
  });

  it('H-06 CONNECT headers are gated, the operator defaults are not', () => {
    expect(refusalOf(() => read([], { connect: ['X-Crawlera-UA', 'pass'], plan: 'c10' })).condition).toBe(
      'header_auth',
    );
    expect(read([], { defaults: ['x-crawlera-ua', 'pass'], plan: 'c10' }).ua).toBe('pass');
  });
});

describe('H-06 layers', () => {
  it('the request overrides the CONNECT, the CONNECT the operator, header by header', () => {
    const controls = read(['X-Crawlera-UA', 'mobile'], {
      connect: ['X-Crawlera-UA', 'pass', 'X-Crawlera-Cookies', 'disable'],
      defaults: ['x-crawlera-cookies', 'discard', 'x-crawlera-region', 'fr'],
    });
    expect(controls).toMatchObject({ ua: 'mobile', cookies: 'disable', region: 'fr' });
  });

  it('an empty value leaves the layer below in force', () => {
    expect(read(['X-Crawlera-UA', ''], { connect: ['X-Crawlera-UA', 'pass'] }).ua).toBe('pass');
  });

  it('a value that is overridden is not judged', () => {
    expect(read(['X-Crawlera-UA', 'pass'], { connect: ['X-Crawlera-UA', 'nonsense'] }).ua).toBe('pass');
  });

  it('operator defaults alone are remembered too', () => {
    const defaults: HeaderList = ['x-crawlera-cookies', 'disable'];
    const first = read([], { defaults });
    expect(first.cookies).toBe('disable');
    expect(read(['Accept', '*/*'], { defaults })).toBe(first);
  });
});

describe('U-11 user names with suffixes', () => {
  const named = { sessionName: true, region: undefined };

  it('a session name lets agent and cookies of the client pass', () => {
    expect(read([], { overrides: named })).toEqual({ ...ABSENT, ua: 'pass', cookies: 'disable' });
  });

  it('request, CONNECT and operator defaults are stronger than that', () => {
    expect(read(['X-Crawlera-UA', 'mobile'], { overrides: named })).toMatchObject({ ua: 'mobile', cookies: 'disable' });
    expect(read([], { connect: ['X-Crawlera-Cookies', 'enable'], overrides: named }).cookies).toBe('enable');
    expect(read([], { defaults: ['x-crawlera-ua', 'desktop'], overrides: named }).ua).toBe('desktop');
  });

  it('neither is gated by the plan', () => {
    expect(read([], { overrides: named, plan: 'c10' }).ua).toBe('pass');
  });

  it('a Session header wins over the name, the name over a default of the operator', () => {
    expect(read(['X-Crawlera-Session', '77'], { overrides: named }).session).toBe('77');
    const defaults: HeaderList = ['x-crawlera-session', 'create', 'x-crawlera-region', 'it'];
    expect(read([], { defaults, overrides: named })).toMatchObject({ session: undefined, region: 'it' });
    expect(read([], { defaults }).session).toBe('create');
  });

  it('a Region header wins over the region of the name, that one over the operator', () => {
    const overrides = { sessionName: false, region: 'de' };
    expect(read([], { overrides, defaults: ['x-crawlera-region', 'fr'] })).toMatchObject({
      region: 'de',
      ua: 'desktop',
    });
    expect(read(['X-Crawlera-Region', 'us'], { overrides }).region).toBe('us');
  });
});

describe('names', () => {
  it.each([
    ['x-crawlera-ua', true],
    ['x-crawlera-', true],
    ['zyte-device', true],
    ['zyte-', true],
    ['x-crawler', false],
    ['x-crawlera', false],
    ['zyte', false],
    ['x-forwarded-for', false],
  ])('F-01 isControlHeader(%s) is %s', (name, expected) => {
    expect(isControlHeader(name)).toBe(expected);
  });

  it('the quick test on names as sent never differs from the plain one', () => {
    const start = fc.constantFrom(
      'X-Crawlera-',
      'x-cRAWLERA-',
      'Zyte-',
      'ZYTE-',
      'zyte',
      'X-Crawlera',
      'X-',
      'Accept',
      '',
    );
    fc.assert(
      fc.property(start, fc.string({ maxLength: 12 }), (head, tail) => {
        expect(looksLikeControl(head + tail)).toBe(isControlHeader((head + tail).toLowerCase()));
      }),
    );
  });
});
