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

/** Values of one layer by lower-case name, trimmed, the last one of each (H-01, H-03). */
type Found = ReadonlyMap<string, string>;

/** Lowest defaults of a user name with `-session-`: a browser that brings its own agent and cookies. */
const NAMED_SESSION: Found = new Map([
  ['x-crawlera-ua', 'pass'],
  ['x-crawlera-cookies', 'disable'],
]);

/** Whether a header (lower-case name) is meant for the proxy and never leaves it (F-01). */
export const isControlHeader = (lowerName: string): boolean =>
  lowerName.startsWith('x-crawlera-') || lowerName.startsWith('zyte-');

/** The same for a name as it was sent, without lower-casing the many that cannot be one. */
export const looksLikeControl = (name: string): boolean => {
  const first = name.charCodeAt(0) | 0x20;
  if (first === 0x78) return name.length >= 11 && name.charCodeAt(10) === 0x2d && isControlHeader(name.toLowerCase());
  return first === 0x7a && name.length >= 5 && name.charCodeAt(4) === 0x2d && isControlHeader(name.toLowerCase());
};

const scan = (headers: HeaderList): Found | undefined => {
  let found: Map<string, string> | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!looksLikeControl(name)) continue;
    found ??= new Map();
    found.set(name.toLowerCase(), (headers[i + 1] as string).trim());
  }
  return found;
};

interface Row {
  readonly header: ControlHeader;
  readonly lowerName: string;
  readonly lowerTwin: string | undefined;
}

const ROWS: readonly Row[] = CONTROL_HEADERS.map((header) => ({
  header,
  lowerName: header.name.toLowerCase(),
  lowerTwin: header.twin?.toLowerCase(),
}));

const ABSENT = Object.assign({}, ...CONTROL_HEADERS.map((header) => header.absent)) as Controls;

/** The name under which a layer gives a row a value; empty values count as absent (H-02), the twin stands in (H-08). */
const nameIn = (layer: Found, row: Row): string | undefined => {
  const value = layer.get(row.lowerName);
  if (value !== undefined && (value !== '' || row.header.presence)) return row.lowerName;
  return row.lowerTwin !== undefined && layer.get(row.lowerTwin) ? row.lowerTwin : undefined;
};

/** Canonical spelling of the name that gave the value. */
const spelledAs = ({ header, lowerName }: Row, name: string): string =>
  (name === lowerName ? header.name : header.twin) as string;

const gate = (layers: readonly Found[], plan: Plan): void => {
  for (const row of ROWS) {
    if (!row.header.closedTo?.includes(plan)) continue;
    for (const layer of layers) {
      const name = nameIn(layer, row);
      if (name !== undefined) throw new Refusal('header_auth', { subject: name });
    }
  }
};

const fold = (layers: readonly Found[], limits: ControlLimits): Controls => {
  const controls = { ...ABSENT, timeoutMs: limits.responseMs };
  for (const row of ROWS) {
    for (const layer of layers) {
      const name = nameIn(layer, row);
      if (name === undefined) continue;
      const value = row.header.read(layer.get(name) as string, limits);
      if (!value) throw new Refusal('bad_header', { subject: spelledAs(row, name) });
      Object.assign(controls, value);
      break;
    }
  }
  return controls;
};

/** The user name's own layer: below the client's headers, above the operator's defaults. */
const nameLayer = (overrides: NameOverrides): Found | undefined =>
  overrides.region === undefined ? undefined : new Map([['x-crawlera-region', overrides.region]]);

const operatorLayer = (defaults: HeaderList, named: boolean): Found | undefined => {
  const found = scan(defaults);
  if (!named || !found?.has('x-crawlera-session')) return found;
  const rest = new Map(found);
  rest.delete('x-crawlera-session');
  return rest;
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
