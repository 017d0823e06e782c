/** The headers by which one browser is told from another, locale en-US (G-03). */
import type { Agent } from '../model/agents.ts';

type Header = readonly [name: string, value: string];

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9';

const ACCEPT: Readonly<Record<Agent['family'], string>> = {
  chrome: `${HTML},image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7`,
  edge: `${HTML},image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7`,
  firefox: `${HTML},*/*;q=0.8`,
  safari: `${HTML},*/*;q=0.8`,
};

const LANGUAGE: Readonly<Record<Agent['family'], string>> = {
  chrome: 'en-US,en;q=0.9',
  edge: 'en-US,en;q=0.9',
  firefox: 'en-US,en;q=0.5',
  safari: 'en-US,en;q=0.9',
};

const GREASE_CHARACTERS = [' ', '(', ':', '-', '.', '/', ')', ';', '=', '?', '_'] as const;
const GREASE_VERSIONS = [8, 99, 24] as const;
/** Places of grease, Chromium and brand. */
const BRAND_ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

const nth = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

/** Value of `Sec-CH-UA`: Chromium derives made-up brand and order from the major version alone. */
export const brandList = (brand: string, major: number): string => {
  const grease = `Not${nth(GREASE_CHARACTERS, major)}A${nth(GREASE_CHARACTERS, major + 1)}Brand`;
  const entries = [
    `"${grease}";v="${nth(GREASE_VERSIONS, major)}"`,
    `"Chromium";v="${major}"`,
    `"${brand}";v="${major}"`,
  ];
  const placed: string[] = [];
  nth(BRAND_ORDERS, major).forEach((place, entry) => {
    placed[place] = entries[entry] as string;
  });
  return placed.join(', ');
};

const hints = ({ family, major, mobile, platform }: Agent): Header[] => [
  ['Sec-CH-UA', brandList(family === 'edge' ? 'Microsoft Edge' : 'Google Chrome', major)],
  ['Sec-CH-UA-Mobile', mobile ? '?1' : '?0'],
  ['Sec-CH-UA-Platform', `"${platform}"`],
];

/** In the order the browser's own requests have; `withHints` false leaves the client hints out. */
export const browserHeaders = (agent: Agent, withHints: boolean): Header[] => {
  const upgrade: Header = ['Upgrade-Insecure-Requests', '1'];
  const userAgent: Header = ['User-Agent', agent.userAgent];
  const accept: Header = ['Accept', ACCEPT[agent.family]];
  const language: Header = ['Accept-Language', LANGUAGE[agent.family]];
  if (agent.family === 'firefox') return [userAgent, accept, language, upgrade];
  if (agent.family === 'safari') return [accept, upgrade, userAgent, language];
  return [...(withHints ? hints(agent) : []), upgrade, userAgent, accept, language];
};
