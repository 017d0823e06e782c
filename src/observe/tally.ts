/** Counting that costs next to nothing a request: plain numbers, made into metrics when those are asked for. */

/** Counts by the value of one label, at most `most` of them; what is beyond is counted as `other`. */
export interface Tallies {
  add(value: string): void;
  /** What came since the last call. */
  take(each: (value: string, count: number) => void): void;
}

export const makeTallies = (most: number): Tallies => {
  const counts = new Map<string, { since: number }>();
  const countOf = (value: string): { since: number } => {
    const known = counts.get(value);
    if (known) return known;
    if (counts.size >= most && value !== 'other') return countOf('other');
    const made = { since: 0 };
    counts.set(value, made);
    return made;
  };
  return {
    add(value) {
      countOf(value).since++;
    },
    take(each) {
      for (const [value, count] of counts) {
        each(value, count.since);
        count.since = 0;
      }
    },
  };
};

/** In the form in which a registry reads a metric. */
export interface Bars {
  readonly metricName: string;
  readonly labels: { readonly le?: number | '+Inf' };
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
  bars(): Bars[];
}

/** `bounds`: upper ends of the buckets in ascending order, in the unit observed. */
export const makeHistogram = (name: string, bounds: readonly number[]): Histogram => {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    observe(value) {
      let at = 0;
      while (at < bounds.length && value > (bounds[at] as number)) at++;
      counts[at] = (counts[at] as number) + 1;
      sum += value;
    },
    bars() {
      let below = 0;
      const bars: Bars[] = [...bounds, '+Inf' as const].map((le, at) => {
        below += counts[at] as number;
        return { metricName: `${name}_bucket`, labels: { le }, value: below };
      });
      bars.push({ metricName: `${name}_sum`, labels: {}, value: sum });
      bars.push({ metricName: `${name}_count`, labels: {}, value: below });
      return bars;
    },
  };
};
