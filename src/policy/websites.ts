/** Settings of a website: exact names and `*.suffix`es, worked out ahead, looked up once a host. */
import type { WebsiteRule } from '../model/settings.ts';
import { normaliseHost } from './host.ts';

export interface WebsiteSettings {
  readonly siteDelayMs: number;
  readonly slaveDelayMs: number;
  /** The target's certificate is not verified (C-07). */
  readonly insecureTarget: boolean;
  /** 523 (E-03). */
  readonly forbidden: boolean;
}

/** Hosts whose settings are remembered. */
const CACHE_ENTRIES = 10_000;

/** `shop.example` or `*.shop.example` in normal form; one that can be no host is kept as written and matches nothing. */
const normalPattern = (pattern: string): string => {
  const wild = pattern.startsWith('*.');
  const name = wild ? pattern.slice(2) : pattern;
  const host = normaliseHost(name) ?? name.toLowerCase();
  return wild ? `*.${host}` : host;
};

/** Patterns that could apply to a host, the most specific first: itself, then `*.` and each of its parents. */
function* patternsFor(host: string): Generator<string> {
  yield host;
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) yield `*${host.slice(dot)}`;
}

/** Value of the most specific pattern a host matches. `*.example` means names under `example`, not itself. */
export const makeNameTable = <T>(entries: readonly (readonly [string, T])[]): ((host: string) => T | undefined) => {
  const table = new Map(entries.map(([pattern, value]) => [normalPattern(pattern), value]));
  return (host) => {
    if (table.size === 0) return undefined;
    for (const pattern of patternsFor(host)) {
      const value = table.get(pattern);
      if (value !== undefined) return value;
    }
    return undefined;
  };
};

const overlay = (below: WebsiteSettings, rule: WebsiteRule): WebsiteSettings => ({
  siteDelayMs: rule.siteDelayMs ?? below.siteDelayMs,
  slaveDelayMs: rule.slaveDelayMs ?? below.slaveDelayMs,
  insecureTarget: rule.insecureTarget ?? below.insecureTarget,
  forbidden: rule.forbidden ?? below.forbidden,
});

/**
 * Settings by host. Rules add up: what a name's own rule leaves open comes from the longest matching suffix, then the
 * next, at last from the defaults. The last rule of two with one pattern counts.
 */
export const makeWebsites = (
  rules: readonly WebsiteRule[],
  defaults: { readonly siteDelayMs: number; readonly slaveDelayMs: number },
): ((host: string) => WebsiteSettings) => {
  const base: WebsiteSettings = Object.freeze({
    siteDelayMs: defaults.siteDelayMs,
    slaveDelayMs: defaults.slaveDelayMs,
    insecureTarget: false,
    forbidden: false,
  });
  const table = new Map(rules.map((rule) => [normalPattern(rule.pattern), rule]));
  const cache = new Map<string, WebsiteSettings>();

  const workOut = (host: string): WebsiteSettings => {
    const matching = [...patternsFor(host)].map((pattern) => table.get(pattern)).filter((rule) => rule !== undefined);
    return matching.length === 0 ? base : Object.freeze(matching.reduceRight(overlay, base));
  };

  return (host) => {
    if (table.size === 0) return base;
    const known = cache.get(host);
    if (known) return known;
    const settings = workOut(host);
    if (cache.size >= CACHE_ENTRIES) cache.delete(cache.keys().next().value as string);
    cache.set(host, settings);
    return settings;
  };
};
