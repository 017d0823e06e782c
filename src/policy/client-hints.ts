/** The client hints Chromium sends of itself without being asked, as its version alone determines them (G-03). */
import type { Browser } from '../model/agents.ts';

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

/** Value of `sec-ch-ua`: Chromium derives made-up brand and order from the major version alone. */
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

const BRANDS: Partial<Record<Browser['family'], string>> = { chrome: 'Google Chrome', edge: 'Microsoft Edge' };

/** Flat list of names and values; none for browsers on other engines, nor where the version is 0, unknown. */
export const clientHints = ({ family, major, mobile, platform }: Browser): readonly string[] => {
  const brand = BRANDS[family];
  if (brand === undefined || major === 0) return [];
  return [
    'sec-ch-ua',
    brandList(brand, major),
    'sec-ch-ua-mobile',
    mobile ? '?1' : '?0',
    'sec-ch-ua-platform',
    `"${platform}"`,
  ];
};
