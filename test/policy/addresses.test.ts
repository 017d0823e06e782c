import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { isPrivateAddress, plainAddress, readAllowance } from '../../src/policy/addresses.ts';

describe('special-purpose addresses', () => {
  it.each([
    '0.0.0.0',
    '0.255.255.255',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.100.100.200',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.0.192',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '192.168.255.255',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:10::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
    '',
    '127.1',
  ])('robustness D01 %s is outside the public internet', (ip) => {
    expect(isPrivateAddress(ip)).toBe(true);
  });

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '168.63.129.17',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.0.3.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2001:200::1',
    '2001:4860:4860::8888',
    '2003::1',
    '2606:4700::1111',
    '3ffe::1',
  ])('robustness D01 %s is public', (ip) => {
    expect(isPrivateAddress(ip)).toBe(false);
  });

  it('robustness D01 whatever a second library calls special is never public here', () => {
    const ip = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(ip, (text) => {
        if (ipaddr.parse(text).range() !== 'unicast') expect(isPrivateAddress(text)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('robustness D01 IPv4 judged public is unicast to the second library too', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        if (text === '168.63.129.16') return;
        expect(isPrivateAddress(text)).toBe(ipaddr.parse(text).range() !== 'unicast');
      }),
      { numRuns: 3000 },
    );
  });
});

describe('one spelling an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['::', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::ffff:0:0', '127.0.0.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['FE80::1%eth0', 'fe80::1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['odd:text', 'odd:text'],
  ])('robustness D05 %s is dialled as %s', (ip, plain) => {
    expect(plainAddress(ip)).toBe(plain);
  });
});

describe('targets.allowPrivate', () => {
  it('takes addresses, ranges, names and suffixes', () => {
    const allowed = readAllowance([
      '10.1.0.0/16',
      '192.168.1.5',
      'fd00::/8',
      '::1',
      'Intranet.Example',
      '*.lan.example',
    ]);
    expect(['10.1.2.3', '192.168.1.5', 'fd12::1', '::1', '::ffff:10.1.2.3'].every((ip) => allowed.address(ip))).toBe(
      true,
    );
    expect(['10.2.0.1', '192.168.1.6', 'fc00::1', 'nonsense'].some((ip) => allowed.address(ip))).toBe(false);
    expect(['intranet.example', 'a.lan.example', 'a.b.lan.example'].every((name) => allowed.name(name))).toBe(true);
    expect(['lan.example', 'x.intranet.example', 'example'].some((name) => allowed.name(name))).toBe(false);
  });

  it('allows nothing when empty', () => {
    const allowed = readAllowance([]);
    expect(allowed.address('127.0.0.1')).toBe(false);
    expect(allowed.name('localhost')).toBe(false);
  });

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', '10.0.0.0/8/9', '10.0.0.0/-1', 'fd00::/129', '::1/1000'])(
    'refuses the impossible range %s',
    (entry) => {
      expect(() => readAllowance([entry])).toThrow(new RangeError(`not an address range: ${entry}`));
    },
  );
});
