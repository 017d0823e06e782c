import { describe, expect, it } from 'vitest';
import { type Agent, agentList, readUserAgent } from '../../src/model/agents.ts';
import { BUILT_IN_AGENTS } from '../support/agents.ts';

const { desktop, mobile } = BUILT_IN_AGENTS;

describe('built-in agents', () => {
  it('G-05 there are at least 20 for desktop and 10 for mobile, all different', () => {
    expect(new Set(desktop.agents.map((agent) => agent.userAgent)).size).toBeGreaterThanOrEqual(20);
    expect(new Set(mobile.agents.map((agent) => agent.userAgent)).size).toBeGreaterThanOrEqual(10);
    expect(new Set(desktop.agents.map((agent) => agent.userAgent)).size).toBe(desktop.agents.length);
    expect(new Set(mobile.agents.map((agent) => agent.userAgent)).size).toBe(mobile.agents.length);
  });

  it.each(desktop.agents)('G-01 desktop: $userAgent', (agent) => {
    expect(agent.userAgent).toMatch(/^Mozilla\/5\.0 \((Windows NT 10\.0|Macintosh|X11)[^)]*\) [\x20-\x7e]+$/);
    expect(agent.userAgent).not.toMatch(/mobile|android|iphone/i);
    expect(agent.mobile).toBe(false);
  });

  it.each(mobile.agents)('G-01 mobile: $userAgent', (agent) => {
    expect(agent.userAgent).toMatch(/^Mozilla\/5\.0 \((Linux; Android|Android|iPhone)[^)]*\) [\x20-\x7e]+$/);
    expect(agent.userAgent).toMatch(/Mobile/);
    expect(agent.mobile).toBe(true);
  });

  it('every string names the family and major version it is filed under', () => {
    const marks = { chrome: 'Chrome/', edge: 'Edg', firefox: 'Firefox/', safari: 'Version/' };
    for (const { userAgent, family, major } of [...desktop.agents, ...mobile.agents]) {
      expect(userAgent).toContain(marks[family]);
      expect(userAgent).toMatch(new RegExp(`(Chrome|Edg|EdgA|Firefox|Version)/${major}\\.`));
    }
  });
});

describe('agent lists', () => {
  const agent = (weight: number): Agent => ({
    userAgent: 'Test/1',
    weight,
    family: 'chrome',
    major: 1,
    platform: 'Linux',
    mobile: false,
  });

  it('add the weights up', () => {
    expect(agentList([agent(1), agent(2), agent(0.5)]).ends).toEqual([1, 3, 3.5]);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuse the weight %s', (weight) => {
    expect(() => agentList([agent(weight)])).toThrow(new RangeError('weight must be positive: Test/1'));
  });

  it('refuse to be empty', () => {
    expect(() => agentList([])).toThrow(RangeError);
  });
});

describe('reading a user agent', () => {
  const CHROMIUM = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0';
  const WEBKIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';

  it.each([
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROMIUM} Safari/537.36`, 'chrome', 156, 'Windows', false],
    [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${CHROMIUM} Safari/537.36`, 'chrome', 156, 'Chrome OS', false],
    [`Mozilla/5.0 (Linux; Android 10; K) ${CHROMIUM} Mobile Safari/537.36`, 'chrome', 156, 'Android', true],
    [`Mozilla/5.0 (Linux; Android 10; K) ${CHROMIUM} Safari/537.36`, 'chrome', 156, 'Android', false],
    [
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${CHROMIUM} Safari/537.36 Edg/156.0.0.0`,
      'edge',
      156,
      'macOS',
      false,
    ],
    [
      `Mozilla/5.0 (Linux; Android 10; K) ${CHROMIUM} Mobile Safari/537.36 EdgA/156.0.0.0`,
      'edge',
      156,
      'Android',
      true,
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:160.0) Gecko/20100101 Firefox/160.0', 'firefox', 160, 'Linux', false],
    ['Mozilla/5.0 (Android 15; Mobile; rv:160.0) Gecko/160.0 Firefox/160.0', 'firefox', 160, 'Android', true],
    [
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${WEBKIT} Version/26.6 Safari/605.1.15`,
      'safari',
      26,
      'macOS',
      false,
    ],
    [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) ${WEBKIT} Version/26.6 Mobile/15E148 Safari/604.1`,
      'safari',
      26,
      'iOS',
      true,
    ],
    [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) ${WEBKIT} CriOS/156.0.1.2 Mobile/15E148 Safari/604.1`,
      'safari',
      156,
      'iOS',
      true,
    ],
  ])('G-03 takes %s for what it is', (userAgent, family, major, platform, mobile) => {
    expect(readUserAgent(userAgent)).toEqual({ userAgent, family, major, platform, mobile });
  });

  it.each([
    '',
    'curl/8.5.0',
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROMIUM} Safari/537.36 OPR/120.0.0.0`,
    `Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36`,
    `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36`,
    `Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) ${CHROMIUM} Safari/537.36`,
    `Mozilla/5.0 (FreeBSD) ${CHROMIUM} Safari/537.36`,
  ])('does not take %j for a browser whose headers are known', (userAgent) => {
    expect(readUserAgent(userAgent)).toBeUndefined();
  });
});
