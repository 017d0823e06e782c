import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Account } from '../../src/model/job.ts';
import type { AccountEntry } from '../../src/model/settings.ts';
import { makeAuthenticator, parseBasic } from '../../src/policy/authenticate.ts';

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const basic = (text: string): string => `Basic ${base64(text)}`;

const entry = (id: string, key: string): AccountEntry => {
  const account: Account = {
    id,
    plan: 'enterprise',
    dialect: 'crawlera',
    defaults: [],
    maxConnections: Number.POSITIVE_INFINITY,
    maxSessions: 5000,
  };
  return { account, keySha256: createHash('sha256').update(key).digest('hex') };
};

const KEY = '0123456789abcdef';
const authenticate = makeAuthenticator([
  entry('demo', KEY),
  entry('suffixed', `${KEY}-session-fixed`),
  entry('umlaut', 'schl\u00fcssel'),
]);

const idOf = (value: string | undefined): string | undefined => authenticate(value)?.account.id;

describe('Basic credentials', () => {
  it.each([
    ['an empty password', `${KEY}:`],
    ['the word DUMMY', `${KEY}:DUMMY`],
    ['an extra colon', `${KEY}::`],
    ['no colon at all', KEY],
    ['colons and spaces after the first colon', `${KEY}: a:b`],
  ])('U-01 the user name is the key, with %s', (_, credentials) => {
    expect(idOf(basic(credentials))).toBe('demo');
  });

  it.each(['basic', 'BASIC', 'bAsIc', 'Basic '])('U-03 the scheme %s is understood', (scheme) => {
    expect(idOf(`${scheme} ${base64(`${KEY}:`)}`)).toBe('demo');
  });

  it('U-03 both alphabets and missing padding are understood', () => {
    const user = 'k\u00ff\u00ff\u00fe?>~~~';
    const standard = base64(`${user}:`);
    const url = standard.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    expect(standard).toMatch(/[+/]/);
    expect(parseBasic(`Basic ${standard}`)).toBe(user);
    expect(parseBasic(`Basic ${url}`)).toBe(user);
  });

  it.each([
    ['nothing', undefined],
    ['an empty value', ''],
    ['the scheme alone', 'Basic'],
    ['the scheme and a space', 'Basic '],
    ['another scheme', `Bearer ${base64(`${KEY}:`)}`],
    ['no scheme', base64(`${KEY}:`)],
    ['something that is no base64', 'Basic !!!!'],
    ['base64 with a gap', `Basic ${base64(`${KEY}:`).slice(0, 8)} ${base64(`${KEY}:`).slice(8)}`],
    ['an empty user name', basic(':pass')],
    ['a wrong key', basic('fedcba9876543210:')],
    ['a key in other case', basic(`${KEY.toUpperCase()}:`)],
    ['a key cut short', basic(`${KEY.slice(0, -1)}:`)],
    ['a key with a space', basic(` ${KEY}:`)],
    ['a value beyond all measure', basic(`${KEY}:${'x'.repeat(5000)}`)],
  ])('U-04 %s is no account', (_, value) => {
    expect(authenticate(value)).toBeUndefined();
  });

  it('keys beyond ASCII are compared as UTF-8', () => {
    expect(idOf(basic('schl\u00fcssel:'))).toBe('umlaut');
  });

  it('robustness B01 no header value whatever throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(authenticate(text)).toBeUndefined();
        expect(authenticate(`Basic ${text}`)).toBeUndefined();
      }),
    );
  });

  it('U-01 any user name without a colon is read back, whatever follows', () => {
    const user = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !text.includes(':'));
    fc.assert(
      fc.property(user, fc.string({ maxLength: 40 }), (name, rest) => {
        expect(parseBasic(basic(`${name}:${rest}`))).toBe(name);
      }),
    );
  });
});

describe('U-11 suffixes of the user name', () => {
  const suffixOf = (name: string): unknown => authenticate(basic(`${name}:`))?.suffix;

  it('a bare key has none', () => {
    expect(suffixOf(KEY)).toEqual({ sessionName: undefined, region: undefined });
  });

  it.each([
    [`${KEY}-session-a1`, 'a1', undefined],
    [`${KEY}-region-us`, undefined, 'us'],
    [`${KEY}-session-Tab_7-region-de`, 'Tab_7', 'de'],
    [`${KEY}-region-de-session-Tab_7`, 'Tab_7', 'de'],
    [`${KEY}-session-region`, 'region', undefined],
    [`${KEY}-session-${'n'.repeat(64)}`, 'n'.repeat(64), undefined],
  ])('%s', (name, sessionName, region) => {
    expect(idOf(basic(`${name}:`))).toBe('demo');
    expect(suffixOf(name)).toEqual({ sessionName, region });
  });

  it('the whole name is tried as a key first, and the longest key wins', () => {
    expect(authenticate(basic(`${KEY}-session-fixed:`))).toMatchObject({
      account: { id: 'suffixed' },
      suffix: { sessionName: undefined },
    });
    expect(authenticate(basic(`${KEY}-session-fixed-region-us:`))).toMatchObject({
      account: { id: 'suffixed' },
      suffix: { sessionName: undefined, region: 'us' },
    });
    expect(authenticate(basic(`${KEY}-session-fixed-session-two:`))).toMatchObject({
      account: { id: 'suffixed' },
      suffix: { sessionName: 'two' },
    });
  });

  it.each([
    `${KEY}-session-`,
    `${KEY}-session`,
    `${KEY}-session-a-b`,
    `${KEY}-session-a.b`,
    `${KEY}-session-\u00fc`,
    `${KEY}-session-${'n'.repeat(65)}`,
    `${KEY}-Session-a`,
    `${KEY}-region-US`,
    `${KEY}-region-usa`,
    `${KEY}-region-u`,
    `${KEY}-session-a-session-b`,
    `${KEY}-region-us-region-de`,
    `${KEY}-city-rome`,
    `${KEY}-`,
    `-session-a`,
    `wrong-session-a-region-us`,
  ])('%s is a wrong key', (name) => {
    expect(authenticate(basic(`${name}:`))).toBeUndefined();
  });
});

describe('what is remembered', () => {
  it('the same header value gives the very same result', () => {
    const value = basic(`${KEY}-session-s:`);
    expect(authenticate(value)).toBe(authenticate(value));
  });

  it('robustness G11 only so many header values are, the oldest go first', () => {
    const own = makeAuthenticator([entry('demo', KEY)]);
    const headerOf = (n: number): string => basic(`${KEY}-session-n${n}:`);
    const first = own(headerOf(0));
    for (let n = 1; n <= 4096; n++) own(headerOf(n));
    expect(own(headerOf(4096))).toBe(own(headerOf(4096)));
    expect(own(headerOf(0))).not.toBe(first);
    expect(own(headerOf(0))).toEqual(first);
  });

  it('very long values are understood but not kept', () => {
    const value = basic(`${KEY}:${'x'.repeat(600)}`);
    const result = authenticate(value);
    expect(result?.account.id).toBe('demo');
    expect(authenticate(value)).not.toBe(result);
  });

  it('robustness C06 a failure is never remembered as a success', () => {
    const wrong = basic('wrong:');
    expect(authenticate(wrong)).toBeUndefined();
    expect(authenticate(wrong)).toBeUndefined();
  });
});
