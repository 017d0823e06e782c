/** Finds which of many words occur in a body: one pass over its bytes for all of them, jumping where none can end. */

/** Words have at least this many bytes: shorter ones would slow every search down. */
export const SHORTEST_WORD = 4;

/** How far apart two looks may be; longer words than this gain nothing. */
const WIDEST_STEP = 24;

const FOLD = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte));

/** One byte a word, by its number: 1 = it occurs. */
export type Hits = Uint8Array;

export interface WordBook {
  /** The number of a word, which is lower-cased (ASCII letters only) and looked for as UTF-8. */
  add(word: string): number;
  /** To be called once all words are known. */
  seal(): (bytes: Buffer) => Hits;
}

const foldAll = (word: string): Buffer => {
  const bytes = Buffer.from(word, 'utf8');
  for (let i = 0; i < bytes.length; i++) bytes[i] = FOLD[bytes[i] as number] as number;
  return bytes;
};

const occursAt = (bytes: Buffer, start: number, word: Buffer): boolean => {
  if (start + word.length > bytes.length) return false;
  for (let k = 0; k < word.length; k++) {
    if (FOLD[bytes[start + k] as number] !== word[k]) return false;
  }
  return true;
};

interface Table {
  /** By two neighbouring bytes in either case: how many bytes further on a word's window can end; 0 = one may end here. */
  readonly steps: Uint8Array;
  /** Numbers of the words whose window ends in two folded bytes. */
  readonly ending: ReadonlyMap<number, readonly number[]>;
}

/** A window is the first `width` bytes of a word (the method of Wu and Manber with blocks of two bytes). */
const tableOf = (words: readonly Buffer[], width: number): Table => {
  const folded = new Uint8Array(65_536).fill(width - 1);
  const ending = new Map<number, number[]>();
  for (const [number, word] of words.entries()) {
    for (let at = 1; at < width; at++) {
      const pair = ((word[at - 1] as number) << 8) | (word[at] as number);
      folded[pair] = Math.min(folded[pair] as number, width - 1 - at);
    }
    const last = ((word[width - 2] as number) << 8) | (word[width - 1] as number);
    ending.set(last, [...(ending.get(last) ?? []), number]);
  }
  const steps = folded.map((_, pair) => folded[foldPair(pair)] as number);
  return { steps, ending };
};

const foldPair = (pair: number): number => ((FOLD[pair >> 8] as number) << 8) | (FOLD[pair & 0xff] as number);

const search = (words: readonly Buffer[]): ((bytes: Buffer) => Hits) => {
  const nothing = new Uint8Array(words.length);
  if (words.length === 0) return () => nothing;
  const width = Math.min(WIDEST_STEP, ...words.map((word) => word.length));
  const { steps, ending } = tableOf(words, width);
  const noteAt = (bytes: Buffer, start: number, pair: number, hits: Hits): Hits => {
    for (const number of ending.get(foldPair(pair)) ?? []) {
      if (hits[number] === 1 || !occursAt(bytes, start, words[number] as Buffer)) continue;
      if (hits === nothing) hits = new Uint8Array(words.length);
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
      if (step === 0) hits = noteAt(bytes, end - width + 1, pair, hits);
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
    seal: () => search([...numbers.keys()].map(foldAll)),
  };
};
