import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directExit, type Endpoint, makeUpstream, parseUpstreamUrl } from '../../src/config/upstream-url.ts';

const endpoint = (url: string): Endpoint => {
  const parsed = parseUpstreamUrl(url);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.value;
};

const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });

describe('upstream URLs', () => {
  it.each([
    ['http://192.0.2.1', 'http', '192.0.2.1', 80, '192.0.2.1:80'],
    ['https://gw.example', 'https', 'gw.example', 443, 'gw.example:443'],
    ['socks5://gw.example', 'socks5', 'gw.example', 1080, 'gw.example:1080'],
    ['socks5h://gw.example:9050/', 'socks5', 'gw.example', 9050, 'gw.example:9050'],
    ['http://[2001:DB8::1]:3128', 'http', '2001:db8::1', 3128, '[2001:db8::1]:3128'],
    ['HTTP://Gw.Example:3128', 'http', 'gw.example', 3128, 'Gw.Example:3128'],
    ['http://müller.example:1', 'http', 'xn--mller-kva.example', 1, 'xn--mller-kva.example:1'],
  ])('R-02 reads %s', (url, kind, host, port, label) => {
    expect(endpoint(url)).toMatchObject({ kind, host, port, label, username: undefined, password: undefined });
  });

  it('reads direct exits, with and without an address', () => {
    expect(endpoint('direct:')).toMatchObject({ kind: 'direct', port: 0, localAddress: undefined, label: undefined });
    expect(endpoint('direct:?address=192.0.2.13').localAddress).toBe('192.0.2.13');
    expect(endpoint('direct:?address=2001:db8::5').localAddress).toBe('2001:db8::5');
  });

  it('decodes percent-encoded credentials exactly once, whatever printable characters they have', () => {
    fc.assert(
      fc.property(printable, printable, (username, password) => {
        const login = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
        expect(endpoint(`http://${login}@gw.example:1`)).toMatchObject({
          username,
          password,
          host: 'gw.example',
          port: 1,
        });
      }),
      { numRuns: 500 },
    );
    const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join('');
    expect(endpoint(`http://u:${encodeURIComponent(encodeURIComponent(all))}@h:1`).password).toBe(
      encodeURIComponent(all),
    );
  });

  it('takes printable characters as they stand, but for the percent sign and the colon of a user name', () => {
    fc.assert(
      fc.property(printable, printable, (name, word) => {
        const username = name.replaceAll(/[%:]/g, '') || 'u';
        const password = word.replaceAll('%', '');
        expect(endpoint(`socks5://${username}:${password}@[::1]:1`)).toMatchObject({ username, password, host: '::1' });
      }),
      { numRuns: 500 },
    );
  });

  it('A-13 keeps {session} in credentials and host', () => {
    expect(endpoint('http://user-{session}:pw@gw.example:7000')).toMatchObject({
      username: 'user-{session}',
      password: 'pw',
    });
    expect(endpoint('http://{session}.gw.example:7000')).toMatchObject({
      host: '{session}.gw.example',
      label: '{session}.gw.example:7000',
    });
  });

  it.each([
    'ftp://canary:canary@h:1',
    'http://canary:canary@',
    'http://canary:canary@h:0',
    'http://canary:canary@h:65536',
    'http://canary:canary@h:x',
    'http://canary:canary@h/path',
    'http://canary:canary@h?q',
    'http://canary:canary@ho st:1',
    'http://canary:canary@2001:db8::1:80',
    'http://canary:canary%@h:1',
    'http://canary:canary%zz@h:1',
    'http://canary:canary%ff@h:1',
    'http://canary:canary%0d%0a@h:1',
    `socks5://canary:${'canary'.repeat(50)}@h:1`,
    'direct:?address=canary',
    'direct:canary',
    'canary',
    '',
  ])('robustness C09 refuses %s without repeating any of it', (url) => {
    const parsed = parseUpstreamUrl(url);
    expect(parsed.ok).toBe(false);
    expect(JSON.stringify(parsed)).not.toContain('canary');
  });

  it('never throws and never repeats a password, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('http://', 'socks5://', 'direct:', ''), (text, scheme) => {
        const parsed = parseUpstreamUrl(`${scheme}u:s3cr3t${text}`);
        if (!parsed.ok) expect(parsed.message).not.toContain('s3cr3t');
      }),
    );
  });
});

describe('upstream identity', () => {
  const id = (url: string, region?: string): string => makeUpstream(endpoint(url), { region }).id;

  it('R-02 differs with credentials, scheme, port and region, and holds none of them', () => {
    const ids = [
      id('http://u:canary@h:1'),
      id('http://u:other@h:1'),
      id('http://v:canary@h:1'),
      id('https://u:canary@h:1'),
      id('http://u:canary@h:2'),
      id('http://u:canary@h:1', 'us'),
      id('http://h:1'),
      id('direct:'),
      id('direct:?address=192.0.2.1'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((one) => /^[0-9a-f]{20}$/.test(one))).toBe(true);
  });

  it('is the same for spellings of one URL and from run to run', () => {
    expect(id('http://u:p@H.example')).toBe(id('HTTP://u:%70@h.example:80/'));
    expect(directExit().id).toBe('81230d848fc624495a07');
  });

  it('weighs one and does not rotate unless said otherwise', () => {
    expect(makeUpstream(endpoint('http://h'))).toMatchObject({ weight: 1, rotating: false, region: undefined });
  });
});
