/** Finds which of many words occur in a body: one pass over its bytes for all of them, jumping where none can end. */

/** Words have at least this many bytes: shorter ones would slow every search down. */
export const SHORTEST_WORD = 4;

/** How far apart two looks may be; longer words than this gain nothing. */
const WIDEST_STEP = 24;

const FOLD = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte));

/** One byte a word, by its number: 1 = it occurs. */
export type Hits = Uint8Array;

export type Search = (bytes: Buffer) => Hits;

export interface WordBook {
  /** The number of a word, which is lower-cased (ASCII letters only) and looked for as UTF-8. */
  add(word: string): number;
  /** Looks for these of the words; to be made once all are known. */
  searchFor(numbers: ReadonlySet<number>): Search;
}

const foldAll = (word: string): Buffer => {
  const bytes = Buffer.from(word, 'utf8');
  for (let i = 0; i < bytes.length; i++) bytes[i] = FOLD[bytes[i] as number] as number;
  return bytes;
};

const occursAt = (bytes: Buffer, start: number, word: Buffer): boolean => {
  if (start < 0 || start + word.length > bytes.length) return false;
  for (let k = 0; k < word.length; k++) {
    if (FOLD[bytes[start + k] as number] !== word[k]) return false;
  }
  return true;
};

/** Bytes of web pages, the most frequent first. */
const FREQUENT = Buffer.from(' etaison</>"=rlcdhpmuf-.gvb');

const WEIGHTS = Float64Array.from({ length: 256 }, (_, byte) => {
  const rank = FREQUENT.indexOf(byte);
  return rank < 0 ? 1 : 1 + FREQUENT.length - rank;
});

/** What looking for a window costs: frequent pairs near its end stop the search often. */
const costOf = (window: Buffer): number => {
  let cost = 0;
  for (let at = 1; at < window.length; at++) {
    const pair = (WEIGHTS[window[at - 1] as number] as number) * (WEIGHTS[window[at] as number] as number);
    cost += pair / (window.length - at) ** 2;
  }
  return cost;
};

/** A word's window: where in it the search stops. */
interface Entry {
  readonly number: number;
  readonly word: Buffer;
  /** From the word's start to the window's last byte. */
  readonly last: number;
}

const entryOf = (number: number, word: Buffer, width: number): Entry => {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let start = 0; start + width <= word.length; start++) {
    const cost = costOf(word.subarray(start, start + width));
    if (cost < least) [best, least] = [start, cost];
  }
  return { number, word, last: best + width - 1 };
};

interface Table {
  /** By two neighbouring bytes in either case: how many bytes further on a window can end; 0 = one may end here. */
  readonly steps: Uint8Array;
  /** Words whose window ends in two folded bytes. */
  readonly ending: ReadonlyMap<number, readonly Entry[]>;
}

/** The method of Wu and Manber, with blocks of two bytes. */
const tableOf = (entries: readonly Entry[], width: number): Table => {
  const folded = new Uint8Array(65_536).fill(width - 1);
  const ending = new Map<number, Entry[]>();
  for (const entry of entries) {
    for (let back = 0; back < width - 1; back++) {
      const pair = pairAt(entry.word, entry.last - back);
      folded[pair] = Math.min(folded[pair] as number, back);
    }
    const last = pairAt(entry.word, entry.last);
    ending.set(last, [...(ending.get(last) ?? []), entry]);
  }
  const steps = folded.map((_, pair) => folded[foldPair(pair)] as number);
  return { steps, ending };
};

const pairAt = (bytes: Buffer, end: number): number => ((bytes[end - 1] as number) << 8) | (bytes[end] as number);

const foldPair = (pair: number): number => ((FOLD[pair >> 8] as number) << 8) | (FOLD[pair & 0xff] as number);

const makeSearch = (words: readonly (readonly [number, Buffer])[], size: number): Search => {
  const nothing = new Uint8Array(size);
  if (words.length === 0) return () => nothing;
  const width = Math.min(WIDEST_STEP, ...words.map(([, word]) => word.length));
  const { steps, ending } = tableOf(
    words.map(([number, word]) => entryOf(number, word, width)),
    width,
  );
  const noteAt = (bytes: Buffer, end: number, pair: number, hits: Hits): Hits => {
    for (const { number, word, last } of ending.get(foldPair(pair)) ?? []) {
      if (hits[number] === 1 || !occursAt(bytes, end - last, word)) continue;
      if (hits === nothing) hits = new Uint8Array(size);
      hits[number] = 1;
    }
    return hits;
  };
  return (bytes) => {
    let hits: Hits = nothing;
    let end = width - 1;
    while (end < bytes.length) {
      const pair = ((bytes[end - 1] as number) << 8) | (bytes[end] as number);
      const step = steps[pair] as number;
      if (step === 0) hits = noteAt(bytes, end, pair, hits);
      end += step === 0 ? 1 : step;
    }
    return hits;
  };
};

export const makeWordBook = (): WordBook => {
  const numbers = new Map<string, number>();
  return {
    add(word) {
      const lower = word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
      const number = numbers.get(lower) ?? numbers.size;
      numbers.set(lower, number);
      return number;
    },
    searchFor: (wanted) =>
      makeSearch(
        [...numbers].filter(([, number]) => wanted.has(number)).map(([word, number]) => [number, foldAll(word)]),
        numbers.size,
      ),
  };
};
