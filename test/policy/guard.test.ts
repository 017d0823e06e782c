import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normaliseHost } from '../../src/policy/host.ts';
import { type Guard, type GuardRules, makeGuard, makeTarget } from '../../src/policy/route.ts';

const PORTS = [
  [80, 80],
  [443, 443],
  [1024, 65_535],
] as const;

const guard = (rules: Partial<GuardRules> = {}): Guard =>
  makeGuard({ ports: PORTS, allowPrivate: [], forbidden: () => false, own: () => false, ...rules });

const judge = (text: string, rules: Partial<GuardRules> = {}, port = 80): string =>
  guard(rules).judge(makeTarget('http', normaliseHost(text) ?? '', port));

describe('before pacing', () => {
  it.each(['shop.example', 'www.shop.example.', '8.8.8.8', '[2606:4700::1111]', 'xlocalhost', 'internal.example'])(
    '%s may be asked for',
    (host) => {
      expect(judge(host)).toBe('ok');
    },
  );

  it.each([
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.1.',
    '0',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '[::]',
    '[::1]',
    '[::ffff:10.0.0.1]',
    '[64:ff9b::a9fe:a9fe]',
    '[fd00:ec2::254]',
    'localhost',
    'LOCALHOST.',
    'shop.localhost',
    'internal',
    'metadata.google.internal',
    'Metadata.Google.Internal.',
    'db.prod.internal',
  ])('robustness D01 D02 D04 %s is forbidden', (host) => {
    expect(judge(host)).toBe('forbidden');
  });

  it.each([22, 25, 0, 79, 1023])('robustness D07 port %i is forbidden', (port) => {
    expect(judge('shop.example', {}, port)).toBe('forbidden');
  });

  it.each([80, 443, 1024, 65_535])('robustness D07 port %i is open', (port) => {
    expect(judge('shop.example', {}, port)).toBe('ok');
  });

  it('E-03 websites on the deny list are forbidden', () => {
    const forbidden = (host: string): boolean => host === 'bad.example';
    expect(judge('BAD.example.', { forbidden })).toBe('forbidden');
    expect(judge('good.example', { forbidden })).toBe('ok');
  });

  it('robustness D10 only the target counts, so its host is all that is judged', () => {
    expect(judge('shop.example', { forbidden: (host) => host === 'evil.example' })).toBe('ok');
  });
});

describe('allowed private places', () => {
  it('a range opens its literals in every spelling, not the port list', () => {
    const rules = { allowPrivate: ['127.0.0.0/8'] };
    for (const host of ['127.0.0.1', '0x7f.1', '[::ffff:127.0.0.1]']) expect(judge(host, rules)).toBe('ok');
    expect(judge('10.0.0.1', rules)).toBe('forbidden');
    expect(judge('127.0.0.1', rules, 22)).toBe('forbidden');
  });

  it.each(['127.0.0.0/8', '127.0.0.1', '::1', 'shop.localhost', '*.localhost'])(
    'a name under .localhost is open with %s',
    (entry) => {
      expect(judge('shop.localhost', { allowPrivate: [entry] })).toBe('ok');
    },
  );

  it('names are open by name or suffix', () => {
    expect(judge('api.internal', { allowPrivate: ['api.internal'] })).toBe('ok');
    expect(judge('api.internal', { allowPrivate: ['*.internal'] })).toBe('ok');
    expect(judge('metadata.google.internal', { allowPrivate: ['api.internal', '0.0.0.0/0'] })).toBe('forbidden');
  });
});

describe('robustness D05 our own listeners', () => {
  const own = (host: string, port: number): boolean =>
    port === 8012 && ['127.0.0.1', '::1', 'me.example'].includes(host);
  const rules = { own, allowPrivate: ['127.0.0.0/8', '::1', '0.0.0.0/8', '::', '*.localhost'] };

  it.each([
    '127.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '[::]',
    '0x7f.1',
    'localhost',
    'x.localhost',
    'me.example',
  ])('%s is forbidden whatever is allowed', (host) => {
    expect(judge(host, rules, 8012)).toBe('forbidden');
    expect(judge(host, rules, 8013)).toBe('ok');
  });

  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0.0.0.0', '::'])(
    'a name that resolves to %s does not reach them',
    (ip) => {
      const { judgeAddress } = guard(rules);
      expect(judgeAddress(ip, 'rebind.localhost', 8012)).toBe(false);
      expect(judgeAddress(ip, 'rebind.localhost', 8013)).toBe(true);
    },
  );
});

describe('robustness D03 when dialling', () => {
  it('a public address may be dialled, a private one not', () => {
    const { judgeAddress } = guard();
    expect(judgeAddress('8.8.8.8', 'shop.example', 80)).toBe(true);
    expect(judgeAddress('2606:4700::1111', 'shop.example', 80)).toBe(true);
    expect(judgeAddress('127.0.0.1', 'shop.example', 80)).toBe(false);
    expect(judgeAddress('fe80::1%eth0', 'shop.example', 80)).toBe(false);
    expect(judgeAddress('::ffff:169.254.169.254', 'shop.example', 80)).toBe(false);
  });

  it('ranges and names that are allowed may be private', () => {
    const { judgeAddress } = guard({ allowPrivate: ['10.0.0.0/8', 'intranet.example', '*.lan.example'] });
    expect(judgeAddress('10.9.9.9', 'shop.example', 80)).toBe(true);
    expect(judgeAddress('::ffff:10.9.9.9', 'shop.example', 80)).toBe(true);
    expect(judgeAddress('192.168.0.1', 'shop.example', 80)).toBe(false);
    expect(judgeAddress('192.168.0.1', 'intranet.example', 80)).toBe(true);
    expect(judgeAddress('192.168.0.1', 'a.lan.example', 80)).toBe(true);
  });

  it('a literal is judged alike before pacing and when dialling', () => {
    const { judge: before, judgeAddress } = guard({ allowPrivate: ['10.0.0.0/8', 'fd00::/8'] });
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        const host = normaliseHost(ip.includes(':') ? `[${ip}]` : ip) ?? '';
        expect(before(makeTarget('http', host, 80)) === 'ok').toBe(judgeAddress(host, host, 80));
      }),
    );
  });

  it('robustness G11 remembering thousands of addresses changes no verdict', () => {
    const { judgeAddress } = guard({ allowPrivate: ['10.1.0.0/16'] });
    for (let n = 0; n < 5000; n++) {
      const address = `10.${n % 2}.${n >> 8}.${n & 255}`;
      expect(judgeAddress(address, 'shop.example', 80)).toBe(n % 2 === 1);
    }
    expect(judgeAddress('10.0.0.0', 'shop.example', 80)).toBe(false);
    expect(judgeAddress('10.1.0.1', 'shop.example', 80)).toBe(true);
    expect(judgeAddress('10.0.0.0', 'shop.example', 80)).toBe(false);
  });

  it('an impossible range is an error when the guard is made', () => {
    expect(() => guard({ allowPrivate: ['10.0.0.0/64'] })).toThrow(RangeError);
  });
});
