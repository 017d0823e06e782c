/** How each browser writes a page load over HTTP/1.1: which headers, with which values, in which order and case (G-03). */
import type { Browser, Family } from '../model/agents.ts';
import { clientHints } from './client-hints.ts';

/** Where a page was asked for from, in the words of `Sec-Fetch-Site`. */
export type Site = 'none' | 'same-origin' | 'same-site' | 'cross-site';

/** Stands in an order for every header that is not named in it. */
const OTHERS = '*';

/** Captured from Chromium 156 and 150; rarely sent names at the places Chromium's source gives them. */
const CHROMIUM_ORDER = [
  'Host',
  'Connection',
  'Content-Length',
  'Transfer-Encoding',
  'Pragma',
  'Cache-Control',
  'Authorization',
  'sec-ch-ua',
  'sec-ch-ua-mobile',
  'sec-ch-ua-platform',
  'DNT',
  'Upgrade-Insecure-Requests',
  'Content-Type',
  OTHERS,
  'User-Agent',
  'Origin',
  'Accept',
  'Sec-Fetch-Site',
  'Sec-Fetch-Mode',
  'Sec-Fetch-User',
  'Sec-Fetch-Dest',
  'Referer',
  'Accept-Encoding',
  'Accept-Language',
  'Cookie',
  'If-None-Match',
  'If-Modified-Since',
  'Range',
];

/** Captured from Firefox 153. */
const FIREFOX_ORDER = [
  'Host',
  'User-Agent',
  'Accept',
  'Accept-Language',
  'Accept-Encoding',
  'Content-Type',
  OTHERS,
  'Content-Length',
  'Transfer-Encoding',
  'Origin',
  'DNT',
  'Authorization',
  'Connection',
  'Referer',
  'Cookie',
  'Upgrade-Insecure-Requests',
  'Sec-Fetch-Dest',
  'Sec-Fetch-Mode',
  'Sec-Fetch-Site',
  'Sec-Fetch-User',
  'If-Modified-Since',
  'If-None-Match',
  'Range',
  'Priority',
  'Pragma',
  'Cache-Control',
];

/** Published captures of Safari 18 loading a page; the places of what such a load does not have are a guess. */
const SAFARI_ORDER = [
  'Host',
  'Content-Type',
  'Origin',
  'Cookie',
  'Sec-Fetch-Dest',
  'User-Agent',
  'Upgrade-Insecure-Requests',
  'Accept',
  'Referer',
  OTHERS,
  'Sec-Fetch-Site',
  'Sec-Fetch-Mode',
  'Authorization',
  'Content-Length',
  'Transfer-Encoding',
  'Accept-Language',
  'Priority',
  'Accept-Encoding',
  'Connection',
];

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9';
const EXCHANGE = 'image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';

/** Chrome decodes JPEG XL from this version on; Edge does not. */
const CHROME_WITH_JXL = 155;

const acceptOf = ({ family, major }: Browser): string => {
  if (family === 'chrome') return `${HTML},${major >= CHROME_WITH_JXL ? 'image/jxl,' : ''}${EXCHANGE}`;
  return family === 'edge' ? `${HTML},${EXCHANGE}` : `${HTML},*/*;q=0.8`;
};

export interface Slot {
  readonly at: number;
  /** As the browser spells it. */
  readonly name: string;
}

/** Everything of a browser's page load that does not depend on the request. */
export interface Manner {
  /** By lower-case name. */
  readonly slots: ReadonlyMap<string, Slot>;
  /** Place of the headers without a slot. */
  readonly others: number;
  /** Names and values of what the browser sends to every website. */
  readonly always: readonly string[];
  /** And only to those reached over TLS. */
  readonly secure: readonly string[];
  /** Says that a person asked for the page (`Sec-Fetch-User`). */
  readonly tellsUser: boolean;
}

type Slots = Manner['slots'];

const slotsOf = (order: readonly string[]): Slots =>
  new Map(order.map((name, at) => [name.toLowerCase(), { at, name }]));

const CHROMIUM = slotsOf(CHROMIUM_ORDER);

const SLOTS: Readonly<Record<Family, Slots>> = {
  chrome: CHROMIUM,
  edge: CHROMIUM,
  firefox: slotsOf(FIREFOX_ORDER),
  safari: slotsOf(SAFARI_ORDER),
};

const makeManner = (browser: Browser): Manner => {
  const { family } = browser;
  const slots = SLOTS[family];
  const always = ['Connection', 'keep-alive', 'Upgrade-Insecure-Requests', '1', 'User-Agent', browser.userAgent];
  always.push('Accept', acceptOf(browser), 'Accept-Language', 'en-US,en;q=0.9');
  if (slots !== CHROMIUM) always.push('Priority', 'u=0, i');
  return {
    slots,
    others: slots.get(OTHERS)?.at ?? 0,
    always,
    secure: clientHints(browser),
    tellsUser: family !== 'safari',
  };
};

const known = new WeakMap<Browser, Manner>();

/** Worked out once for each browser of a list. */
export const mannerOf = (browser: Browser): Manner => {
  const there = known.get(browser);
  if (there) return there;
  const manner = makeManner(browser);
  known.set(browser, manner);
  return manner;
};

/** What browsers tell of the reason for a request, over TLS only: a page asked for by a person. */
export const fetchMetadata = ({ tellsUser }: Manner, site: Site): readonly string[] => {
  const told = ['Sec-Fetch-Site', site, 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'];
  if (tellsUser) told.push('Sec-Fetch-User', '?1');
  return told;
};
