/** Header lists as they stand on the wire: flat `[name, value, name, value, ...]`, order, case and repetition kept (F-04). */

export type HeaderList = readonly string[];

/** Last value of a header, by lower-case name; `undefined` when absent (H-03: the last one wins). */
export const lastValue = (headers: HeaderList, lowerName: string): string | undefined => {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = headers[i] as string;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return headers[i + 1];
  }
  return undefined;
};

/** How many times a header occurs. */
export const countOf = (headers: HeaderList, lowerName: string): number => {
  let count = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) count++;
  }
  return count;
};

/** Every value of a header, in order. */
export const allValues = (headers: HeaderList, lowerName: string): string[] => {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === lowerName) values.push(headers[i + 1] as string);
  }
  return values;
};

/** The words of a comma list, trimmed, lower-cased, empty ones dropped. */
export const listWords = (value: string): string[] =>
  value
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');
