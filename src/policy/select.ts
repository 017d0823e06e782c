/**
 * The order in which upstreams serve a website (P-03): least recently used first, weight w being w places in the order.
 * A place is ranked by a number: never used ones are negative and follow the ring, used ones carry the number of their use.
 */

/** Beyond this a weight gains nothing but memory. */
export const MAX_WEIGHT = 100;

export const placesOf = (weight: number): number => Math.min(Math.max(1, Math.round(weight)), MAX_WEIGHT);

/**
 * Lays the upstreams out as a ring of places, those of one upstream spread evenly.
 * Returns the index of the upstream at each place.
 */
export const spreadPlaces = (weights: readonly number[]): number[] => {
  const places: { readonly index: number; readonly at: number }[] = [];
  weights.forEach((weight, index) => {
    const count = placesOf(weight);
    for (let k = 0; k < count; k++) places.push({ index, at: (k + (index + 0.5) / weights.length) / count });
  });
  return places.sort((a, b) => a.at - b.at || a.index - b.index).map((place) => place.index);
};

/** Rank of a place never used, seen from where a website's ring starts: in [-length, -1]. */
export const freshRank = (place: number, start: number, length: number): number =>
  ((place - start + length) % length) - length;

/** Index of the first entry not below `wanted` in an ascending list; 0 when all are (the ring goes round). */
export const firstFrom = (ascending: readonly number[], wanted: number): number => {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low === ascending.length ? 0 : low;
};

/** Something that may be down, and how many sessions lean on it. */
export interface Host {
  readonly sessions: number;
  /** Running number of the last session it was given. */
  readonly given: number;
}

/** Whether `a` should get the next session rather than `b`: fewest live sessions, then longest without one (S-12). */
export const ratherHosts = (a: Host, b: Host): boolean =>
  a.sessions < b.sessions || (a.sessions === b.sessions && a.given < b.given);
