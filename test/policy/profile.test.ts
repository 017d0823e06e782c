import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Agent, agentList, BUILT_IN_AGENTS } from '../../src/model/agents.ts';
import { brandList, browserHeaders } from '../../src/policy/browser-headers.ts';
import { type Choice, dressUserAgent, pickAgent } from '../../src/policy/profile.ts';

const agentOf = (family: Agent['family'], list = BUILT_IN_AGENTS.desktop): Agent => {
  const agent = list.agents.find((each) => each.family === family);
  if (!agent) throw new Error(`no ${family}`);
  return agent;
};
const CHROME = agentOf('chrome');
const UA = CHROME.userAgent;

const choice = (rest: Partial<Choice> = {}): Choice => ({
  ua: 'desktop',
  profile: undefined,
  profilePass: [],
  ...rest,
});

describe('G-01 user agent', () => {
  it('replaces the value of the client in place, its spelling of the name kept', () => {
    const dressed = dressUserAgent(['Host', 'a', 'user-agent', 'curl/8', 'Accept', '*/*'], choice(), CHROME);
    expect(dressed).toEqual({ headers: ['Host', 'a', 'user-agent', UA, 'Accept', '*/*'], agent: UA });
  });

  it('is appended when the client sent none, and sent once when it sent two', () => {
    expect(dressUserAgent(['Host', 'a'], choice(), CHROME).headers).toEqual(['Host', 'a', 'User-Agent', UA]);
    const twice = dressUserAgent(['User-Agent', 'x', 'A', '1', 'USER-AGENT', 'y'], choice(), CHROME).headers;
    expect(twice).toEqual(['User-Agent', UA, 'A', '1']);
  });

  it('hints that would contradict it go, all else stays', () => {
    const raw = [
      'Sec-CH-UA',
      '"x"',
      'sec-ch-ua-platform',
      'y',
      'Sec-CH-UA-Full-Version-List',
      'z',
      'Sec-Fetch-Mode',
      'cors',
    ];
    const dressed = dressUserAgent(['Accept', 'a', ...raw, 'DNT', '1', 'Sec-CH-Width', '3'], choice(), CHROME);
    expect(dressed.headers).toEqual([
      'Accept',
      'a',
      'Sec-Fetch-Mode',
      'cors',
      'DNT',
      '1',
      'Sec-CH-Width',
      '3',
      'User-Agent',
      UA,
    ]);
  });

  it('does not touch the list it was given', () => {
    const raw = Object.freeze(['User-Agent', 'x']);
    expect(dressUserAgent(raw, choice(), CHROME).headers).not.toBe(raw);
  });
});

describe('G-02 G-04 pass', () => {
  const raw = ['User-Agent', 'mine/1', 'Sec-CH-UA', 'h', 'Accept', 'x'];

  it('everything goes out as the client sent it', () => {
    expect(dressUserAgent(raw, choice({ ua: 'pass' }), undefined)).toEqual({ headers: raw, agent: 'mine/1' });
    expect(dressUserAgent(raw, choice({ profile: 'pass' }), CHROME)).toEqual({ headers: raw, agent: 'mine/1' });
  });

  it('no agent is added where the client sent none', () => {
    expect(dressUserAgent(['A', '1'], choice({ ua: 'pass' }), undefined)).toEqual({
      headers: ['A', '1'],
      agent: undefined,
    });
  });

  it('H-14 a profile wins over the agent header', () => {
    expect(dressUserAgent(raw, choice({ ua: 'mobile', profile: 'pass' }), CHROME).agent).toBe('mine/1');
    expect(dressUserAgent(raw, choice({ ua: 'pass', profile: 'desktop' }), CHROME).agent).toBe(UA);
  });
});

describe('G-03 profile', () => {
  const profile = choice({ profile: 'desktop' });
  const CLIENT = ['Host', 'a', 'user-agent', 'x', 'Accept', 'x', 'Accept-Language', 'de', 'DNT', '1', 'Cookie', 'c=1'];

  it('what tells the browser of the client makes way for one coherent set', () => {
    const raw = [...CLIENT, 'Upgrade-Insecure-Requests', '0', 'Sec-CH-UA', 'x', 'Accept-Encoding', 'gzip'];
    const { headers, agent } = dressUserAgent(raw, profile, CHROME);
    expect(agent).toBe(UA);
    const set = browserHeaders(CHROME, true).flat();
    expect(headers).toEqual(['Host', 'a', ...set, 'Cookie', 'c=1', 'Accept-Encoding', 'gzip']);
    expect(headers.join()).toContain('en-US');
    expect(headers).not.toContain('DNT');
  });

  it('Accept-Encoding becomes identity only when the client sent none', () => {
    expect(dressUserAgent(['A', '1'], profile, CHROME).headers.slice(-2)).toEqual(['Accept-Encoding', 'identity']);
    expect(dressUserAgent(['accept-encoding', 'br'], profile, CHROME).headers).not.toContain('identity');
  });

  it('H-24 named headers survive in their place', () => {
    const { headers } = dressUserAgent(
      CLIENT,
      choice({ profile: 'desktop', profilePass: ['accept-language', 'dnt'] }),
      CHROME,
    );
    const at = headers.indexOf('Accept-Language');
    expect(headers.slice(at, at + 4)).toEqual(['Accept-Language', 'de', 'DNT', '1']);
    expect(headers.filter((each) => each === 'Accept-Language')).toHaveLength(1);
  });

  it('H-24 with the agent of the client no hints of another browser are added', () => {
    const { headers, agent } = dressUserAgent(
      CLIENT,
      choice({ profile: 'desktop', profilePass: ['user-agent'] }),
      CHROME,
    );
    expect(agent).toBe('x');
    expect(headers.filter((each) => /^sec-ch-ua/i.test(each))).toEqual([]);
    expect(headers.filter((each) => /^user-agent$/i.test(each))).toHaveLength(1);
  });

  it('hints are sent over TLS only', () => {
    expect(dressUserAgent([], profile, CHROME, true).headers).toContain('Sec-CH-UA');
    expect(dressUserAgent([], profile, CHROME, false).headers).not.toContain('Sec-CH-UA');
  });

  it.each(['firefox', 'safari'] as const)('%s sends no client hints and its own order', (family) => {
    const names = browserHeaders(agentOf(family), true).map(([name]) => name);
    expect(names.filter((name) => name.startsWith('Sec-CH-UA'))).toEqual([]);
    expect(names.includes('User-Agent') && names.includes('Accept') && names.includes('Accept-Language')).toBe(true);
  });

  it('hints name brand, platform and kind of device', () => {
    const phone = agentOf('edge', BUILT_IN_AGENTS.mobile);
    const sent = Object.fromEntries(browserHeaders(phone, true));
    expect(sent).toMatchObject({ 'Sec-CH-UA-Mobile': '?1', 'Sec-CH-UA-Platform': '"Android"' });
    expect(sent['Sec-CH-UA']).toContain(`"Microsoft Edge";v="${phone.major}"`);
    expect(Object.fromEntries(browserHeaders(CHROME, true))['Sec-CH-UA-Mobile']).toBe('?0');
  });

  it.each([
    [131, '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"'],
    [124, '"Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"'],
    [120, '"Not_A Brand";v="8", "Chromium";v="120", "Google Chrome";v="120"'],
  ])('the brand list of Chrome %i is the one it sends', (major, expected) => {
    expect(brandList('Google Chrome', major)).toBe(expected);
  });

  it('whatever the client sends, one of each telling header goes out', () => {
    const name = fc.constantFrom(
      'User-Agent',
      'ACCEPT',
      'Accept-Language',
      'DNT',
      'Sec-CH-UA',
      'Cookie',
      'X',
      'accept-encoding',
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), (pairs) => {
        const names = dressUserAgent(pairs.flat(), profile, CHROME).headers.filter((_, i) => i % 2 === 0);
        for (const telling of ['user-agent', 'accept', 'accept-language', 'sec-ch-ua', 'upgrade-insecure-requests']) {
          expect(names.filter((each) => each.toLowerCase() === telling)).toHaveLength(1);
        }
        const others = (list: readonly string[]): string[] => list.filter((each) => each === 'Cookie' || each === 'X');
        expect(others(names)).toEqual(others(pairs.map(([each]) => each)));
      }),
    );
  });
});

describe('picking an agent', () => {
  const list = agentList([1, 2, 5].map((weight, n) => ({ ...CHROME, userAgent: `agent-${n}`, weight })));

  it.each([
    [0, 'agent-0'],
    [0.124, 'agent-0'],
    [0.125, 'agent-1'],
    [0.374, 'agent-1'],
    [0.375, 'agent-2'],
    [0.999999, 'agent-2'],
  ])('at %f of the weights it is %s', (point, expected) => {
    expect(pickAgent(list, point).userAgent).toBe(expected);
  });

  it('S-21 a seed picks the same agent each time, and seeds spread by weight', () => {
    const counts = new Map<string, number>();
    for (let seed = 1; seed <= 8000; seed++) {
      const { userAgent } = pickAgent(list, seed);
      expect(pickAgent(list, seed).userAgent).toBe(userAgent);
      counts.set(userAgent, (counts.get(userAgent) ?? 0) + 1);
    }
    expect(counts.get('agent-0')).toBeGreaterThan(850);
    expect(counts.get('agent-0')).toBeLessThan(1150);
    expect(counts.get('agent-2')).toBeGreaterThan(4700);
    expect(counts.get('agent-2')).toBeLessThan(5300);
  });

  it('any number picks an agent of the list', () => {
    fc.assert(
      fc.property(fc.double(), (point) => {
        expect(list.agents).toContain(pickAgent(list, point));
      }),
    );
  });
});
