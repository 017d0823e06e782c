import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseUpstreamList } from '../../src/config/upstream-list.ts';

describe('upstream lists', () => {
  it('reads a URL, host:port and host:port:user:pass a line, without comments, blanks and repetitions', () => {
    const text = [
      '\uFEFF# provider list',
      'http://u:p@192.0.2.1:3128',
      '',
      '192.0.2.2:3128   # Berlin',
      '192.0.2.3:3128:user:pa:ss%41#x',
      '[2001:db8::1]:1080:user:pw',
      'socks5://192.0.2.4',
      '  192.0.2.2:3128\t',
    ].join('\r\n');
    const { upstreams, errors } = parseUpstreamList(text);
    expect(errors).toEqual([]);
    expect(upstreams.map(({ kind, label, username, password }) => [kind, label, username, password])).toEqual([
      ['http', '192.0.2.1:3128', 'u', 'p'],
      ['http', '192.0.2.2:3128', undefined, undefined],
      ['http', '192.0.2.3:3128', 'user', 'pa:ss%41#x'],
      ['http', '[2001:db8::1]:1080', 'user', 'pw'],
      ['socks5', '192.0.2.4:1080', undefined, undefined],
    ]);
  });

  it('gives the same identity as a configured URL', () => {
    const [colons] = parseUpstreamList('gw.example:1:u:p@:w').upstreams;
    const [url] = parseUpstreamList('http://u:p%40%3Aw@gw.example:1').upstreams;
    expect(colons?.id).toBe(url?.id);
  });

  it('leaves bad lines out, names them by number only, and refuses direct exits', () => {
    const { upstreams, errors } = parseUpstreamList(
      'canary\n1.2.3.4:1\nhost:canary:user:canary\ndirect:\n<html>canary',
    );
    expect(upstreams).toHaveLength(1);
    expect(errors.map((error) => error.split(':')[0])).toEqual(['line 1', 'line 3', 'line 4', 'line 5']);
    expect(errors.join()).not.toContain('canary');
  });

  it('tells of at most twenty lines', () => {
    const { errors } = parseUpstreamList('x\n'.repeat(100));
    expect(errors).toHaveLength(21);
    expect(errors[20]).toBe('and 80 more lines like these');
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(Array.isArray(parseUpstreamList(text).upstreams)).toBe(true);
      }),
    );
  });
});
