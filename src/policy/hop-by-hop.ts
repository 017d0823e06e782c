/** Header names that do not simply cross: framing, hop-by-hop, nominated, and those a website must not send (F-01, F-06). */
import { listWords } from '../model/headers.ts';

export type Kind = 'drop' | 'host' | 'connection' | 'length' | 'coding' | 'expect' | 'upgrade';

/** Names that do not simply cross. `_` variants are dropped: some servers read them as the real ones. */
const LOWER_KINDS: readonly (readonly [lowerName: string, kind: Kind])[] = [
  ['connection', 'connection'],
  ['content-length', 'length'],
  ['content_length', 'drop'],
  ['expect', 'expect'],
  ['host', 'host'],
  ['keep-alive', 'drop'],
  ['proxy-authorization', 'drop'],
  ['proxy-connection', 'drop'],
  ['te', 'drop'],
  ['trailer', 'drop'],
  ['transfer-encoding', 'coding'],
  ['transfer_encoding', 'drop'],
  ['upgrade', 'upgrade'],
];

const titleCase = (lowerName: string): string => lowerName.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());

/** By the two usual spellings, which spares lower-casing nearly every name. */
const KINDS: ReadonlyMap<string, Kind> = new Map(
  LOWER_KINDS.flatMap(([name, kind]) => [[name, kind] as const, [titleCase(name), kind] as const]),
);

/** Bit n of entry c is set when a name of n characters starting with c may be in the table: most names fail here. */
const CANDIDATES = new Uint32Array(128);
for (const [name] of LOWER_KINDS) {
  const first = name.charCodeAt(0);
  CANDIDATES[first] = (CANDIDATES[first] as number) | (1 << name.length);
}

const LETTER_P = 0x70;
const HYPHEN = 0x2d;

/** What to do with a name; `undefined` = let it pass. */
export const kindOf = (name: string): Kind | undefined => {
  const first = (name.charCodeAt(0) | 0x20) & 0x7f;
  if (name.length < 32 && ((CANDIDATES[first] as number) & (1 << name.length)) !== 0) {
    const kind = KINDS.get(name) ?? KINDS.get(name.toLowerCase());
    if (kind !== undefined) return kind;
  }
  // Every other name of that family is hop-by-hop too (A09).
  if (first !== LETTER_P || name.charCodeAt(5) !== HYPHEN) return undefined;
  return name.toLowerCase().startsWith('proxy-') ? 'drop' : undefined;
};

/** Names a `Connection` value takes along (A08); `undefined` for the usual single word. */
export const nominatedBy = (value: string): string[] | undefined => {
  if (value.length === 5 || value.length === 10) {
    if (value === 'close' || value === 'keep-alive') return undefined;
    const lower = value.toLowerCase();
    if (lower === 'close' || lower === 'keep-alive') return undefined;
  }
  const words = listWords(value);
  return words.length === 0 ? undefined : words;
};

/** Both lists, either of which may be missing. */
export const joined = (one: string[] | undefined, other: string[] | undefined): string[] | undefined =>
  one && other ? one.concat(other) : (one ?? other);

/** Framing and `Host` cannot be nominated away (A08). */
export const withoutNominated = (headers: readonly string[], nominated: readonly string[]): string[] => {
  const names = new Set(nominated);
  names.delete('host');
  names.delete('content-length');
  names.delete('transfer-encoding');
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!names.has(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
};

const LETTER_X = 0x78;
const LETTER_Z = 0x7a;

/** Names with which a website could speak in this proxy's name (F-06). */
export const isOurs = (name: string): boolean => {
  const first = name.charCodeAt(0) | 0x20;
  if (first !== LETTER_X && first !== LETTER_Z) return false;
  const lower = name.toLowerCase();
  return lower.startsWith('x-crawlera-') || lower.startsWith('zyte-error');
};
