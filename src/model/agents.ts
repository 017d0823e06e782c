/** Browsers this proxy can pass for: weights and the strings each sends (G-01, G-05). */

export interface Agent {
  readonly userAgent: string;
  /** Share among its list, any positive number. */
  readonly weight: number;
  readonly family: 'chrome' | 'edge' | 'firefox' | 'safari';
  readonly major: number;
  /** As `Sec-CH-UA-Platform` names it. */
  readonly platform: 'Windows' | 'macOS' | 'Linux' | 'Android' | 'iOS';
  readonly mobile: boolean;
}

/** Agents with their weights added up, ready to pick from. */
export interface AgentList {
  readonly agents: readonly Agent[];
  /** Upper end of each agent's share; the last one is the sum. */
  readonly ends: readonly number[];
}

/** Throws `RangeError` for an empty list or a weight that is not positive. */
export const agentList = (agents: readonly Agent[]): AgentList => {
  if (agents.length === 0) throw new RangeError('an agent list must not be empty');
  let sum = 0;
  const ends = agents.map(({ weight, userAgent }) => {
    if (!(weight > 0 && Number.isFinite(weight))) throw new RangeError(`weight must be positive: ${userAgent}`);
    sum += weight;
    return sum;
  });
  return { agents, ends };
};

type Family = Agent['family'];
type Platform = Agent['platform'];

/** What each system calls itself; browsers froze these texts. */
const SYSTEMS = {
  Windows: 'Windows NT 10.0; Win64; x64',
  macOS: 'Macintosh; Intel Mac OS X 10_15_7',
  Linux: 'X11; Linux x86_64',
  Android: 'Linux; Android 10; K',
} as const;

const FIREFOX_SYSTEMS = {
  Windows: 'Windows NT 10.0; Win64; x64',
  macOS: 'Macintosh; Intel Mac OS X 10.15',
  Linux: 'X11; Linux x86_64',
  Android: 'Android 15; Mobile',
} as const;

type System = keyof typeof SYSTEMS;

const chromium = (platform: System, major: number): string => {
  const mobile = platform === 'Android' ? 'Mobile ' : '';
  return `Mozilla/5.0 (${SYSTEMS[platform]}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 ${mobile}Safari/537.36`;
};

const edge = (platform: System, major: number): string =>
  `${chromium(platform, major)} ${platform === 'Android' ? 'EdgA' : 'Edg'}/${major}.0.0.0`;

const firefox = (platform: System, major: number): string => {
  const gecko = platform === 'Android' ? `${major}.0` : '20100101';
  return `Mozilla/5.0 (${FIREFOX_SYSTEMS[platform]}; rv:${major}.0) Gecko/${gecko} Firefox/${major}.0`;
};

const WEBKIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';

const safari = (version: string): string =>
  `Mozilla/5.0 (${SYSTEMS.macOS}) ${WEBKIT} Version/${version} Safari/605.1.15`;

const safariPhone = (version: string): string =>
  `Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) ${WEBKIT} Version/${version} Mobile/15E148 Safari/604.1`;

const WRITERS = { chrome: chromium, edge, firefox } as const;

/** Newest first with its share: most people are on the current version, some one or two behind. */
const MAJORS: Readonly<Record<keyof typeof WRITERS, readonly (readonly [major: number, share: number])[]>> = {
  chrome: [
    [156, 0.6],
    [155, 0.3],
    [154, 0.1],
  ],
  edge: [
    [156, 0.6],
    [155, 0.3],
    [154, 0.1],
  ],
  firefox: [
    [156, 0.6],
    [155, 0.3],
    [154, 0.1],
  ],
};

const versionsOf = (family: keyof typeof WRITERS, platform: System, weight: number): Agent[] =>
  MAJORS[family].map(([major, share]) => ({
    userAgent: WRITERS[family](platform, major),
    weight: weight * share,
    family,
    major,
    platform,
    mobile: platform === 'Android',
  }));

const appleVersions = (platform: Platform, write: (version: string) => string, weight: number): Agent[] =>
  (
    [
      ['26.5', 0.5],
      ['26.4', 0.3],
      ['26.3', 0.2],
    ] as const
  ).map(([version, share]) => ({
    userAgent: write(version),
    weight: weight * share,
    family: 'safari' satisfies Family,
    major: 26,
    platform,
    mobile: platform === 'iOS',
  }));

/** Weights in percent of their list, roughly as browsers are in use. */
export const BUILT_IN_AGENTS: { readonly desktop: AgentList; readonly mobile: AgentList } = {
  desktop: agentList([
    ...versionsOf('chrome', 'Windows', 48),
    ...versionsOf('chrome', 'macOS', 14),
    ...versionsOf('chrome', 'Linux', 4),
    ...versionsOf('edge', 'Windows', 13),
    ...versionsOf('edge', 'macOS', 1),
    ...versionsOf('firefox', 'Windows', 6),
    ...versionsOf('firefox', 'macOS', 2),
    ...versionsOf('firefox', 'Linux', 2),
    ...appleVersions('macOS', safari, 10),
  ]),
  mobile: agentList([
    ...versionsOf('chrome', 'Android', 62),
    ...versionsOf('edge', 'Android', 2),
    ...versionsOf('firefox', 'Android', 2),
    ...appleVersions('iOS', safariPhone, 34),
  ]),
};
