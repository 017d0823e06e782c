/** What this process holds in Redis: seats, waiting requests, requests in sessions. Told anew after Redis was away. */

export interface Holdings {
  /** Field of `held:<process>`, see scripts/base.lua. */
  take(tag: string, field: string): void;
  give(tag: string, field: string): void;
  /** Field, count, field, count, ... */
  list(tag: string): (string | number)[];
}

const SEP = '\u001f';

export const seatField = (account: string): string => `s${SEP}${account}`;
export const runField = (account: string, session: string): string => `r${SEP}${account}${SEP}${session}`;
export const waitField = (website: string, account: string, waitsFor: string): string =>
  `w${SEP}${website}${SEP}${account}${SEP}${waitsFor}`;

export const makeHoldings = (): Holdings => {
  const byTag = new Map<string, Map<string, number>>();

  const change = (tag: string, field: string, by: number): void => {
    let fields = byTag.get(tag);
    if (!fields) {
      fields = new Map();
      byTag.set(tag, fields);
    }
    const count = (fields.get(field) ?? 0) + by;
    if (count > 0) fields.set(field, count);
    else fields.delete(field);
  };

  return {
    take: (tag, field) => change(tag, field, 1),
    give: (tag, field) => change(tag, field, -1),
    list: (tag) => [...(byTag.get(tag) ?? [])].flat(),
  };
};
