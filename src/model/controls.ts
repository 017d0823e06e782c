/** What a request asks of this proxy: the control headers of request, CONNECT and account folded into one `Controls`. */
import { CONTROL_HEADERS, type ControlHeader, type ControlLimits } from './control-headers.ts';
import { Refusal } from './errors.ts';
import type { HeaderList } from './headers.ts';
import type { Plan } from './job.ts';

export { CONTROL_HEADERS, type ControlHeader, type ControlLimits } from './control-headers.ts';

/** What the client asked for, after request, CONNECT, account defaults and built-in defaults were folded (H-06). */
export interface Controls {
  readonly ua: 'desktop' | 'mobile' | 'pass';
  /** Wins over `ua` when present (H-14). */
  readonly profile: 'desktop' | 'mobile' | 'pass' | undefined;
  /** Lower-case header names whose client value survives the profile (H-24). */
  readonly profilePass: readonly string[];
  readonly noBancheck: boolean;
  readonly cookies: 'enable' | 'disable' | 'discard';
  /** `create`, or an id exactly as sent; `undefined` = no session. */
  readonly session: string | undefined;
  /** At most 256 characters, no control characters (B02). */
  readonly jobId: string | undefined;
  /** 0..5; `undefined` when not sent: 5 without a session, 0 inside one (S-17). */
  readonly maxRetries: number | undefined;
  /** Already clamped (H-16). */
  readonly timeoutMs: number;
  readonly debugRequestTime: boolean;
  readonly debugUa: boolean;
  readonly debugAttempts: boolean;
  readonly useHttps: boolean;
  /** Lower-case ISO 3166 code. */
  readonly region: string | undefined;
  readonly client: string | undefined;
}

/** Where control headers may stand, the strongest first (H-06). */
export interface ControlLayers {
  readonly request: HeaderList;
  /** Control headers of the CONNECT, `undefined` outside a tunnel. */
  readonly connect: HeaderList | undefined;
  /** The operator's `accounts[].defaults`: not plan-gated. */
  readonly defaults: HeaderList;
}

/** What the user name asked for (U-11). */
export interface NameOverrides {
  readonly sessionName: boolean;
  readonly region: string | undefined;
}

/** Whether a header (lower-case name) is meant for the proxy and never leaves it (F-01). */
export const isControlHeader = (lowerName: string): boolean =>
  lowerName.startsWith('x-crawlera-') || lowerName.startsWith('zyte-');

/** First letter, length and a hyphen rule out nearly every name before it is lower-cased. */
const mayBeControl = (name: string): boolean => {
  const first = name.charCodeAt(0) | 0x20;
  if (first === 0x78) return name.length >= 11 && name.charCodeAt(10) === 0x2d;
  return first === 0x7a && name.length >= 5 && name.charCodeAt(4) === 0x2d;
};

/** `isControlHeader` for a name as it was sent. */
export const looksLikeControl = (name: string): boolean => mayBeControl(name) && isControlHeader(name.toLowerCase());

interface Row {
  readonly header: ControlHeader;
  /** Where a layer keeps its value, and that of its twin. */
  readonly slot: number;
  readonly twinSlot: number;
}

const ROWS: readonly Row[] = CONTROL_HEADERS.map((header, n) => ({ header, slot: 2 * n, twinSlot: 2 * n + 1 }));

/** Slot by lower-case name. */
const SLOTS: ReadonlyMap<string, number> = new Map(
  ROWS.flatMap(({ header, slot, twinSlot }) => [
    [header.name.toLowerCase(), slot] as const,
    ...(header.twin === undefined ? [] : [[header.twin.toLowerCase(), twinSlot] as const]),
  ]),
);

/** Values of one layer by slot, trimmed, the last one of each (H-01, H-03). */
type Found = readonly (string | undefined)[];

const emptyLayer = (): (string | undefined)[] => new Array<string | undefined>(2 * ROWS.length).fill(undefined);

const scan = (headers: HeaderList): Found | undefined => {
  let found: (string | undefined)[] | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!mayBeControl(name)) continue;
    const slot = SLOTS.get(name.toLowerCase());
    if (slot === undefined) continue;
    found ??= emptyLayer();
    found[slot] = (headers[i + 1] as string).trim();
  }
  return found;
};

const ABSENT = Object.assign({}, ...CONTROL_HEADERS.map((header) => header.absent)) as Controls;

/** The slot that gives a row its value; empty values count as absent (H-02), the twin stands in (H-08). -1 = none. */
const slotIn = (layer: Found, row: Row): number => {
  const value = layer[row.slot];
  if (value !== undefined && (value !== '' || row.header.presence)) return row.slot;
  return layer[row.twinSlot] ? row.twinSlot : -1;
};

/** Canonical spelling of the name that gave the value. */
const spelledAs = ({ header, slot }: Row, used: number): string =>
  (used === slot ? header.name : header.twin) as string;

const gate = (layers: readonly Found[], plan: Plan): void => {
  for (const row of ROWS) {
    if (!row.header.closedTo?.includes(plan)) continue;
    for (const layer of layers) {
      const used = slotIn(layer, row);
      if (used >= 0) throw new Refusal('header_auth', { subject: spelledAs(row, used).toLowerCase() });
    }
  }
};

const fold = (layers: readonly Found[], limits: ControlLimits): Controls => {
  const controls = { ...ABSENT, timeoutMs: limits.responseMs };
  for (const row of ROWS) {
    for (const layer of layers) {
      const used = slotIn(layer, row);
      if (used < 0) continue;
      const value = row.header.read(layer[used] as string, limits);
      if (!value) throw new Refusal('bad_header', { subject: spelledAs(row, used) });
      Object.assign(controls, value);
      break;
    }
  }
  return controls;
};

/** Lowest defaults of a user name with `-session-`: a browser that brings its own agent and cookies. */
const NAMED_SESSION = scan(['X-Crawlera-UA', 'pass', 'X-Crawlera-Cookies', 'disable']);

/** The user name's own layer: below the client's headers, above the operator's defaults. */
const nameLayer = (overrides: NameOverrides): Found | undefined =>
  overrides.region === undefined ? undefined : scan(['X-Crawlera-Region', overrides.region]);

const SESSION_SLOT = SLOTS.get('x-crawlera-session') as number;

/** A session in the user name is stronger than one among the operator's defaults. */
const operatorLayer = (defaults: HeaderList, named: boolean): Found | undefined => {
  const found = scan(defaults);
  return named ? found?.map((value, slot) => (slot === SESSION_SLOT ? undefined : value)) : found;
};

const present = (layers: readonly (Found | undefined)[]): Found[] => layers.filter((layer) => layer !== undefined);

/** Results for requests without control headers, by configuration and account: one frozen object each. */
const remembered = new WeakMap<ControlLimits, WeakMap<HeaderList, Controls>>();

const plain = (defaults: HeaderList, limits: ControlLimits): Controls => {
  const before = remembered.get(limits)?.get(defaults);
  if (before) return before;
  const controls = Object.freeze(fold(present([scan(defaults)]), limits));
  const known = remembered.get(limits) ?? new WeakMap<HeaderList, Controls>();
  remembered.set(limits, known.set(defaults, controls));
  return controls;
};

/**
 * Folds the layers into what the request asks for. Plan gating of every header comes before the value of any (H-07).
 * Throws `Refusal`: header_auth with the lower-cased name (H-09), bad_header with the canonical one.
 */
export const readControls = (
  layers: ControlLayers,
  plan: Plan,
  limits: ControlLimits,
  overrides?: NameOverrides,
): Controls => {
  const request = scan(layers.request);
  const connect = layers.connect && scan(layers.connect);
  const named = overrides !== undefined && (overrides.sessionName || overrides.region !== undefined);
  if (!request && !connect && !named) return plain(layers.defaults, limits);
  const sent = present([request, connect]);
  gate(sent, plan);
  const sessionName = overrides?.sessionName ?? false;
  const below = present([
    overrides && nameLayer(overrides),
    operatorLayer(layers.defaults, sessionName),
    sessionName ? NAMED_SESSION : undefined,
  ]);
  return fold([...sent, ...below], limits);
};
