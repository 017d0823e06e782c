/** Browsers this proxy can pass for: what their user agents tell, and lists to pick from by weight (G-01, G-05). */

export type Family = 'chrome' | 'edge' | 'firefox' | 'safari';

/** What a user agent tells of its browser. */
export interface Browser {
  readonly userAgent: string;
  readonly family: Family;
  readonly major: number;
  /** As `sec-ch-ua-platform` names it. */
  readonly platform: 'Windows' | 'macOS' | 'Linux' | 'Chrome OS' | 'Android' | 'iOS';
  /** Says of itself that it is a phone's. */
  readonly mobile: boolean;
}

export interface Agent extends Browser {
  /** Share among its list, any positive number. */
  readonly weight: number;
}

/** Agents with their weights added up, ready to pick from. */
export interface AgentList {
  readonly agents: readonly Agent[];
  /** Upper end of each agent's share; the last one is the sum. */
  readonly ends: readonly number[];
}

export interface Agents {
  readonly desktop: AgentList;
  readonly mobile: AgentList;
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

const CHROMIUM = String.raw`AppleWebKit/537\.36 \(KHTML, like Gecko\) Chrome/(\d+)[\d.]* (?:Mobile )?Safari/537\.36`;

/** Whole strings: the many browsers built on these engines add a word of their own, and their headers differ. */
const FAMILIES: readonly (readonly [family: Family, form: RegExp])[] = [
  ['chrome', new RegExp(`^Mozilla/5\\.0 \\([^()]+\\) ${CHROMIUM}$`)],
  ['edge', new RegExp(`^Mozilla/5\\.0 \\([^()]+\\) ${CHROMIUM} EdgA?/[\\d.]+$`)],
  ['firefox', /^Mozilla\/5\.0 \([^()]+; rv:[\d.]+\) Gecko\/[\d.]+ Firefox\/(\d+)[\d.]*$/],
  // On iOS every browser is Safari underneath, headers included.
  [
    'safari',
    /^Mozilla\/5\.0 \([^()]+\) AppleWebKit\/[\d.]+ \(KHTML, like Gecko\) (?:Version|CriOS|FxiOS|EdgiOS)\/(\d+)[\d.]*(?: Version\/[\d.]+)?(?: Mobile\/\w+)? Safari\/[\d.]+$/,
  ],
];

const PLATFORMS: readonly (readonly [mark: RegExp, platform: Browser['platform']])[] = [
  [/Windows NT/, 'Windows'],
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Macintosh/, 'macOS'],
  [/CrOS/, 'Chrome OS'],
  [/Linux/, 'Linux'],
];

/** The browser a user agent names; `undefined` when it is none of those whose headers are known. */
export const readUserAgent = (userAgent: string): Browser | undefined => {
  const platform = PLATFORMS.find(([mark]) => mark.test(userAgent))?.[1];
  if (!platform) return undefined;
  for (const [family, form] of FAMILIES) {
    const major = form.exec(userAgent)?.[1];
    if (major) return { userAgent, family, major: Number(major), platform, mobile: userAgent.includes('Mobile') };
  }
  return undefined;
};

export const isHandheld = ({ platform }: Browser): boolean => platform === 'Android' || platform === 'iOS';
