/** Writes a request as one browser would: its own headers in its order and case, the client's others among them (G-03). */
import type { Browser } from '../model/agents.ts';
import type { HeaderList } from '../model/headers.ts';
import { fetchMetadata, type Manner, mannerOf, type Site } from './browser-headers.ts';

/** What is asked for, as far as a browser's headers depend on it. */
export interface Page {
  readonly method: string;
  /** Reached over TLS: client hints and fetch metadata are sent only there. */
  readonly secure: boolean;
  /** Not a page at all but a WebSocket's handshake. */
  readonly webSocket?: boolean;
}

/** Headers by which a client tells its own browser; `Sec-CH-UA*` besides. */
const TELLING: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'dnt',
  'upgrade-insecure-requests',
  'user-agent',
]);

export const tells = (lowerName: string): boolean => TELLING.has(lowerName) || lowerName.startsWith('sec-ch-ua');

/** Header lines being put at their places. */
interface Sheet {
  readonly manner: Manner;
  /** Names and values by place. */
  readonly rows: string[][];
  /** Value of each header, by lower-case name. */
  readonly values: Map<string, string>;
  /** The client says itself what the request is for. */
  ownMetadata: boolean;
}

const write = ({ manner, rows, values }: Sheet, lower: string, name: string, value: string): void => {
  const slot = manner.slots.get(lower);
  const at = slot?.at ?? manner.others;
  const row = rows[at];
  if (row) row.push(slot?.name ?? name, value);
  else rows[at] = [slot?.name ?? name, value];
  values.set(lower, value);
};

const writeClients = (sheet: Sheet, headers: HeaderList, pass: readonly string[]): void => {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const lower = name.toLowerCase();
    if (tells(lower) && !pass.includes(lower)) continue;
    write(sheet, lower, name, headers[i + 1] as string);
    if (lower.startsWith('sec-fetch-')) sheet.ownMetadata = true;
  }
};

/** What the client has sent itself stays. */
const writeMissing = (sheet: Sheet, headers: readonly string[]): void => {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    const lower = name.toLowerCase();
    if (!sheet.values.has(lower)) write(sheet, lower, name, headers[i + 1] as string);
  }
};

const isBelow = (host: string, other: string): boolean => host.endsWith(`.${other}`);

/** From which kind of place a page refers. Hosts of one domain count as one site when one is above the other. */
const siteOf = (from: string, host: string): Site => {
  const here = `https://${host}`;
  if (!URL.canParse(from) || !URL.canParse(here)) return 'cross-site';
  const source = new URL(from);
  const target = new URL(here);
  if (source.protocol !== target.protocol) return 'cross-site';
  if (source.host === target.host) return 'same-origin';
  const [one, two] = [source.hostname, target.hostname];
  return one === two || isBelow(one, two) || isBelow(two, one) ? 'same-site' : 'cross-site';
};

/** Typed into the address bar, unless a page is named; a form is sent from the website's own. */
const siteFrom = ({ values }: Sheet, method: string): Site => {
  const from = values.get('referer') ?? values.get('origin');
  if (from !== undefined) return siteOf(from, values.get('host') ?? '');
  return method === 'GET' || method === 'HEAD' ? 'none' : 'same-origin';
};

const EMPTY_BODY = ['Content-Length', '0'];
const FORM_METHODS: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** A body-less POST announces its 0 bytes where this browser does, not at the end. */
const needsLength = ({ values }: Sheet, method: string): boolean =>
  FORM_METHODS.has(method) && !values.has('content-length') && !values.has('transfer-encoding');

/** `pass`: lower-case names of telling headers that stay the client's (H-24). */
export const dressPage = (
  headers: HeaderList,
  browser: Browser,
  pass: readonly string[],
  { method, secure }: Page,
): { headers: string[]; framed: boolean } => {
  const manner = mannerOf(browser);
  const sheet: Sheet = { manner, rows: [], values: new Map(), ownMetadata: false };
  writeClients(sheet, headers, pass);
  writeMissing(sheet, manner.always);
  if (secure) writeMissing(sheet, manner.secure);
  if (secure && !sheet.ownMetadata) writeMissing(sheet, fetchMetadata(manner, siteFrom(sheet, method)));
  if (!sheet.values.has('accept-encoding')) write(sheet, 'accept-encoding', 'Accept-Encoding', 'identity');
  const framed = needsLength(sheet, method);
  if (framed) writeMissing(sheet, EMPTY_BODY);
  const out: string[] = [];
  for (const row of sheet.rows) if (row) out.push(...row);
  return { headers: out, framed };
};
