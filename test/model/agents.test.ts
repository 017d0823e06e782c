import { describe, expect, it } from 'vitest';
import { type Agent, agentList, BUILT_IN_AGENTS } from '../../src/model/agents.ts';

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
