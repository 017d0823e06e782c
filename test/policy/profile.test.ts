import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Agent, agentList, type Family } from '../../src/model/agents.ts';
import { brandList } from '../../src/policy/client-hints.ts';
import type { Page } from '../../src/policy/dress-page.ts';
import { type Choice, dressUserAgent, pickAgent } from '../../src/policy/profile.ts';
import { BUILT_IN_AGENTS } from '../support/agents.ts';

const agentOf = (family: Family, list = BUILT_IN_AGENTS.desktop): Agent => {
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
    expect(dressed).toEqual({ headers: ['Host', 'a', 'user-agent', UA, 'Accept', '*/*'], agent: UA, framed: false });
  });

  it('is appended when the client sent none, and sent once when it sent two', () => {
    expect(dressUserAgent(['Host', 'a'], choice(), CHROME).headers).toEqual(['Host', 'a', 'User-Agent', UA]);
    const twice = dressUserAgent(['User-Agent', 'x', 'A', '1', 'USER-AGENT', 'y'], choice(), CHROME).headers;
    expect(twice).toEqual(['User-Agent', UA, 'A', '1']);
  });

  it('hints that would contradict it go, all else stays', () => {
    const kept = ['Accept', 'a', 'Sec-Fetch-Mode', 'cors', 'DNT', '1', 'Sec-CH-Width', '3'];
    const hints = ['Sec-CH-UA', '"x"', 'sec-ch-ua-platform', 'y', 'Sec-CH-UA-Full-Version-List', 'z'];
    const dressed = dressUserAgent([...kept.slice(0, 2), ...hints, ...kept.slice(2)], choice(), CHROME);
    expect(dressed.headers).toEqual([...kept, 'User-Agent', UA]);
  });

  it('does not touch the list it was given', () => {
    const raw = Object.freeze(['User-Agent', 'x']);
    expect(dressUserAgent(raw, choice(), CHROME).headers).not.toBe(raw);
    expect(dressUserAgent(raw, choice({ profile: 'desktop' }), CHROME).headers).not.toBe(raw);
  });
});

describe('G-02 G-04 pass', () => {
  const raw = ['User-Agent', 'mine/1', 'Sec-CH-UA', 'h', 'Accept', 'x'];

  it('everything goes out as the client sent it', () => {
    const untouched = { headers: raw, agent: 'mine/1', framed: false };
    expect(dressUserAgent(raw, choice({ ua: 'pass' }), undefined)).toEqual(untouched);
    expect(dressUserAgent(raw, choice({ profile: 'pass' }), CHROME)).toEqual(untouched);
  });

  it('no agent is added where the client sent none', () => {
    expect(dressUserAgent(['A', '1'], choice({ ua: 'pass' }), undefined)).toEqual({
      headers: ['A', '1'],
      agent: undefined,
      framed: false,
    });
  });

  it('H-14 a profile wins over the agent header', () => {
    expect(dressUserAgent(raw, choice({ ua: 'mobile', profile: 'pass' }), CHROME).agent).toBe('mine/1');
    expect(dressUserAgent(raw, choice({ ua: 'pass', profile: 'desktop' }), CHROME).agent).toBe(UA);
  });
});

/** Dressed header lines, `name: value`. */
const page = (
  raw: readonly string[],
  agent: Agent,
  about: Partial<Page> = {},
  pass: readonly string[] = [],
): string[] => {
  const { headers } = dressUserAgent(raw, choice({ profile: 'desktop', profilePass: pass }), agent, {
    method: 'GET',
    secure: true,
    ...about,
  });
  return headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${headers[i + 1]}`] : []));
};

const lineOf = (lines: readonly string[], name: string): string | undefined =>
  lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);

const CURL = ['Host', 'shop.example', 'user-agent', 'curl/8', 'accept', '*/*', 'accept-encoding', 'gzip'];
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9';
const EXCHANGE = 'image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';

const chromium = (brand: string, mobile = '?0', platform = 'Windows', images = '') => ({
  start: ['Host: shop.example', 'Connection: keep-alive'],
  hints: (major: number) => [
    `sec-ch-ua: ${brandList(brand, major)}`,
    `sec-ch-ua-mobile: ${mobile}`,
    `sec-ch-ua-platform: "${platform}"`,
  ],
  page: (userAgent: string) => [
    'Upgrade-Insecure-Requests: 1',
    `User-Agent: ${userAgent}`,
    `Accept: ${HTML},${images}${EXCHANGE}`,
  ],
  metadata: ['Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-User: ?1', 'Sec-Fetch-Dest: document'],
  end: ['Accept-Encoding: gzip', 'Accept-Language: en-US,en;q=0.9'],
});

const firefox = (userAgent: string, metadata: readonly string[]): string[] => [
  'Host: shop.example',
  `User-Agent: ${userAgent}`,
  `Accept: ${HTML},*/*;q=0.8`,
  'Accept-Language: en-US,en;q=0.9',
  'Accept-Encoding: gzip',
  'Connection: keep-alive',
  'Upgrade-Insecure-Requests: 1',
  ...metadata,
  'Priority: u=0, i',
];

const safari = (userAgent: string, secure: boolean): string[] => [
  'Host: shop.example',
  ...(secure ? ['Sec-Fetch-Dest: document'] : []),
  `User-Agent: ${userAgent}`,
  'Upgrade-Insecure-Requests: 1',
  `Accept: ${HTML},*/*;q=0.8`,
  ...(secure ? ['Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate'] : []),
  'Accept-Language: en-US,en;q=0.9',
  'Priority: u=0, i',
  'Accept-Encoding: gzip',
  'Connection: keep-alive',
];

describe('G-03 a page load, byte for byte', () => {
  const { desktop, mobile } = BUILT_IN_AGENTS;

  it.each([
    ['Chrome', agentOf('chrome'), chromium('Google Chrome', '?0', 'Windows', 'image/jxl,')],
    ['Edge', agentOf('edge'), chromium('Microsoft Edge')],
    ['Chrome on a phone', agentOf('chrome', mobile), chromium('Google Chrome', '?1', 'Android', 'image/jxl,')],
    ['Edge on a phone', agentOf('edge', mobile), chromium('Microsoft Edge', '?1', 'Android')],
  ])('%s tells its brand and what it is about over TLS only', (_name, agent, said) => {
    const own = said.page(agent.userAgent);
    expect(page(CURL, agent)).toEqual([
      ...said.start,
      ...said.hints(agent.major),
      ...own,
      ...said.metadata,
      ...said.end,
    ]);
    expect(page(CURL, agent, { secure: false })).toEqual([...said.start, ...own, ...said.end]);
  });

  it.each([desktop, mobile])('Firefox has no hints, and a priority everywhere', (list) => {
    const agent = agentOf('firefox', list);
    const metadata = [
      'Sec-Fetch-Dest: document',
      'Sec-Fetch-Mode: navigate',
      'Sec-Fetch-Site: none',
      'Sec-Fetch-User: ?1',
    ];
    expect(page(CURL, agent)).toEqual(firefox(agent.userAgent, metadata));
    expect(page(CURL, agent, { secure: false })).toEqual(firefox(agent.userAgent, []));
  });

  it.each([desktop, mobile])('Safari has an order of its own and never says whether a person asked', (list) => {
    const agent = agentOf('safari', list);
    expect(page(CURL, agent)).toEqual(safari(agent.userAgent, true));
    expect(page(CURL, agent, { secure: false })).toEqual(safari(agent.userAgent, false));
  });

  it.each([
    [154, false],
    [155, true],
  ])('Chrome %i takes JPEG XL: %s', (major, expected) => {
    expect(lineOf(page([], { ...CHROME, major }), 'Accept')?.includes('image/jxl')).toBe(expected);
  });

  it('every agent of the lists is told by its own headers alone', () => {
    for (const agent of [...desktop.agents, ...mobile.agents]) {
      const lines = page(CURL, agent);
      expect(lines).toContain(`User-Agent: ${agent.userAgent}`);
      const hints = lines.filter((line) => line.startsWith('sec-ch-ua'));
      expect(hints).toHaveLength(agent.family === 'chrome' || agent.family === 'edge' ? 3 : 0);
      if (hints.length > 0) {
        expect(hints[0]).toContain(`"Chromium";v="${agent.major}"`);
        expect(agent.userAgent).toContain(`Chrome/${agent.major}.`);
        expect(hints[1]?.endsWith('?1')).toBe(agent.userAgent.includes('Mobile'));
      }
    }
  });
});

describe('G-03 what the client sent', () => {
  it('is replaced where it tells its browser, and kept where it does not', () => {
    const raw = [
      'Host',
      'a',
      'Accept',
      'x',
      'Accept-Language',
      'de',
      'DNT',
      '1',
      'Sec-CH-UA-Arch',
      '"x86"',
      'Cookie',
      'c=1',
    ];
    const lines = page([...raw, 'Upgrade-Insecure-Requests', '0', 'X-Requested-With', 'me'], CHROME);
    expect(lines.filter((line) => /dnt|arch|: de$|: x$|: 0$/i.test(line))).toEqual([]);
    expect(lineOf(lines, 'Cookie')).toBe('c=1');
    expect(lineOf(lines, 'X-Requested-With')).toBe('me');
  });

  const FORM = [
    'accept-encoding',
    'br',
    'cookie',
    'c=1',
    'content-type',
    'text/plain',
    'x-own',
    '1',
    'content-length',
    '3',
  ];
  const REST = ['referer', 'https://shop.example/form', 'origin', 'https://shop.example', 'host', 'shop.example'];

  it.each([
    [
      'chrome' as const,
      'Host Connection Content-Length sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform Upgrade-Insecure-Requests Content-Type x-own User-Agent Origin Accept Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-User Sec-Fetch-Dest Referer Accept-Encoding Accept-Language Cookie',
    ],
    [
      'firefox' as const,
      'Host User-Agent Accept Accept-Language Accept-Encoding Content-Type x-own Content-Length Origin Connection Referer Cookie Upgrade-Insecure-Requests Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Priority',
    ],
    [
      'safari' as const,
      'Host Content-Type Origin Cookie Sec-Fetch-Dest User-Agent Upgrade-Insecure-Requests Accept Referer x-own Sec-Fetch-Site Sec-Fetch-Mode Content-Length Accept-Language Priority Accept-Encoding Connection',
    ],
  ])('%s puts a form with its body, cookies and a header of the client its own at its places', (family, expected) => {
    const lines = page([...FORM, ...REST], agentOf(family), { method: 'POST' });
    expect(lines.map((line) => line.split(':')[0]).join(' ')).toBe(expected);
    expect(lineOf(lines, 'Sec-Fetch-Site')).toBe('same-origin');
  });

  it('keeps the encodings of the client, which has to decode them, and asks for none when it named none', () => {
    expect(lineOf(page(['accept-encoding', 'br'], CHROME), 'Accept-Encoding')).toBe('br');
    expect(lineOf(page([], CHROME), 'Accept-Encoding')).toBe('identity');
    expect(page([], agentOf('firefox')).indexOf('Accept-Encoding: identity')).toBe(3);
  });

  it('keeps its fetch metadata instead of adding other', () => {
    const lines = page(['sec-fetch-mode', 'cors', 'sec-fetch-site', 'same-origin'], CHROME);
    expect(lines.filter((line) => line.startsWith('Sec-Fetch'))).toEqual([
      'Sec-Fetch-Site: same-origin',
      'Sec-Fetch-Mode: cors',
    ]);
  });

  it('keeps the order of two headers of one name', () => {
    expect(
      page(['X', '1', 'cookie', 'a=1', 'x', '2', 'Cookie', 'b=2'], CHROME).filter((line) => /^(x|cookie):/i.test(line)),
    ).toEqual(['X: 1', 'x: 2', 'Cookie: a=1', 'Cookie: b=2']);
  });

  it('T-13 announces an empty form where the browser does', () => {
    const bare = dressUserAgent(['Host', 'a'], choice({ profile: 'desktop' }), CHROME, {
      method: 'POST',
      secure: true,
    });
    expect(bare.framed).toBe(true);
    expect(bare.headers.slice(0, 6)).toEqual(['Host', 'a', 'Connection', 'keep-alive', 'Content-Length', '0']);
    for (const raw of [
      ['Content-Length', '3'],
      ['Transfer-Encoding', 'chunked'],
    ]) {
      const { headers, framed } = dressUserAgent(raw, choice({ profile: 'desktop' }), CHROME, {
        method: 'POST',
        secure: true,
      });
      expect([framed, headers.filter((each) => /^content-length|^transfer-encoding/i.test(each))]).toEqual([
        false,
        [raw[0]],
      ]);
    }
  });

  const host = ['Host', 'shop.example:8443'];
  it.each([
    ['typed in', 'GET', host, 'none'],
    ['typed in', 'HEAD', host, 'none'],
    ['a form without a page', 'POST', host, 'same-origin'],
    ['the website itself', 'GET', [...host, 'Referer', 'https://shop.example:8443/a'], 'same-origin'],
    ['another port of it', 'GET', [...host, 'Referer', 'https://shop.example/a'], 'same-site'],
    ['a host below', 'GET', [...host, 'Referer', 'https://www.shop.example/'], 'same-site'],
    ['a host above', 'GET', ['Host', 'www.shop.example', 'Referer', 'https://shop.example/'], 'same-site'],
    ['a name that only ends alike', 'GET', [...host, 'Referer', 'https://myshop.example/'], 'cross-site'],
    ['its plain pages', 'GET', [...host, 'Referer', 'http://shop.example/'], 'cross-site'],
    ['a search engine', 'GET', [...host, 'Referer', 'https://search.example/?q=shop.example'], 'cross-site'],
    ['an origin', 'POST', [...host, 'Origin', 'https://shop.example:8443'], 'same-origin'],
    ['no origin', 'POST', [...host, 'Origin', 'null'], 'cross-site'],
    ['nonsense', 'GET', [...host, 'Referer', 'nonsense'], 'cross-site'],
  ])('says where it comes from: %s (%s)', (_what, method, raw, expected) => {
    expect(lineOf(page(raw, CHROME, { method }), 'Sec-Fetch-Site')).toBe(expected);
  });

  it('whatever the client sends, one of each telling header goes out and nothing else is lost', () => {
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
    const family = fc.constantFrom<Family>('chrome', 'edge', 'firefox', 'safari');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), family, fc.boolean(), (pairs, one, secure) => {
        const names = page(pairs.flat(), agentOf(one), { secure }).map((line) => line.slice(0, line.indexOf(':')));
        for (const telling of ['User-Agent', 'Accept', 'Accept-Language', 'Upgrade-Insecure-Requests', 'Connection'])
          expect(names.filter((each) => each.toLowerCase() === telling.toLowerCase())).toEqual([telling]);
        for (const kept of ['Cookie', 'X'])
          expect(names.filter((each) => each === kept)).toEqual(
            pairs.flatMap(([each]) => (each === kept ? [kept] : [])),
          );
        expect(names.map((each) => each.toLowerCase())).not.toContain('dnt');
      }),
    );
  });
});

describe('H-24 Profile-Pass', () => {
  it('named headers keep the value of the client, at the place of the browser', () => {
    const raw = [...CURL, 'accept-language', 'de', 'dnt', '1', 'sec-ch-ua-platform', '"BeOS"'];
    const lines = page(raw, CHROME, {}, ['accept-language', 'dnt', 'sec-ch-ua-platform', 'accept']);
    expect(lines.filter((line) => /^(accept|dnt|sec-ch-ua-p)/i.test(line))).toEqual([
      'sec-ch-ua-platform: "BeOS"',
      'DNT: 1',
      'Accept: */*',
      'Accept-Encoding: gzip',
      'Accept-Language: de',
    ]);
  });

  it('a name the client did not send gets what the browser has', () => {
    expect(page(CURL, CHROME, {}, ['accept-language'])).toEqual(page(CURL, CHROME));
  });

  it('with a user agent of the client everything else is of that browser', () => {
    const own = agentOf('firefox').userAgent;
    const { headers, agent } = dressUserAgent(
      ['user-agent', own],
      choice({ profile: 'desktop', profilePass: ['user-agent'] }),
      CHROME,
    );
    expect(agent).toBe(own);
    expect(headers.slice(0, 2)).toEqual(['User-Agent', own]);
    expect(headers).toContain('Priority');
    expect(headers).not.toContain('sec-ch-ua');
  });

  it('with one of no known browser there are no hints of another', () => {
    const lines = page(CURL, CHROME, {}, ['user-agent']);
    expect(lineOf(lines, 'User-Agent')).toBe('curl/8');
    expect(lines.filter((line) => line.startsWith('sec-ch-ua'))).toEqual([]);
  });
});

describe('client hints', () => {
  it.each([
    ['Google Chrome', 120, '"Not_A Brand";v="8", "Chromium";v="120", "Google Chrome";v="120"'],
    ['Google Chrome', 124, '"Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"'],
    ['Google Chrome', 131, '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"'],
    ['Google Chrome', 145, '"Not:A-Brand";v="99", "Google Chrome";v="145", "Chromium";v="145"'],
    ['Google Chrome', 153, '"Google Chrome";v="153", "Not_A Brand";v="8", "Chromium";v="153"'],
    ['Microsoft Edge', 150, '"Not;A=Brand";v="8", "Chromium";v="150", "Microsoft Edge";v="150"'],
    ['Microsoft Edge', 152, '"Chromium";v="152", "Not?A_Brand";v="24", "Microsoft Edge";v="152"'],
    ['Microsoft Edge', 154, '"Chromium";v="154", "Microsoft Edge";v="154", "Not A(Brand";v="99"'],
  ])('the brand list of %s %i is the one it was seen to send', (brand, major, expected) => {
    expect(brandList(brand, major)).toBe(expected);
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
