/** Which websites a ban rule is for: `*`, `shop.example`, `.shop.example`, `google.*`. */

type Fits = (host: string) => boolean;

/** Second levels that are part of a public suffix: `co.uk`, `com.br`. */
const SECOND_LEVELS = new Set(['ac', 'co', 'com', 'edu', 'gov', 'ne', 'net', 'or', 'org']);

/** `com`, `de`, `co.uk`: what may stand for the star of `google.*`. */
const isSuffix = (text: string): boolean => {
  const [first = '', second, ...more] = text.split('.');
  if (second === undefined) return first !== '';
  return more.length === 0 && second.length === 2 && SECOND_LEVELS.has(first);
};

const anySuffix = (name: string): Fits => {
  const start = `${name}.`;
  return (host) => {
    for (let at = host.indexOf(start); at >= 0; at = host.indexOf(start, at + 1)) {
      if ((at === 0 || host[at - 1] === '.') && isSuffix(host.slice(at + start.length))) return true;
    }
    return false;
  };
};

/** `.shop.example` is the names below it, `shop.example` itself too, `google.*` the name under any public suffix. */
const patternFits = (pattern: string): Fits => {
  if (pattern === '*') return () => true;
  if (pattern.endsWith('.*')) return anySuffix(pattern.slice(0, -2));
  if (pattern.startsWith('.')) return (host) => host.endsWith(pattern);
  const below = `.${pattern}`;
  return (host) => host === pattern || host.endsWith(below);
};

/** `undefined` = every website. Hosts come in normal form. */
export const makeScope = (domains: readonly string[], excluded: readonly string[]): Fits | undefined => {
  const everywhere = domains.length === 0 || domains.includes('*');
  if (everywhere && excluded.length === 0) return undefined;
  const inside = everywhere ? [patternFits('*')] : domains.map(patternFits);
  const outside = excluded.map(patternFits);
  return (host) => inside.some((fits) => fits(host)) && !outside.some((fits) => fits(host));
};
