/** The result of reading one value of the configuration. Messages never repeat the value: it may be a secret. */

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export const fine = <T>(value: T): Parsed<T> => ({ ok: true, value });

export const wrong = (message: string): Parsed<never> => ({ ok: false, message });

/** Keys and list positions from the top of the file to a value. */
export type Path = readonly (string | number)[];

/** One mistake and the place of it. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
}

const PLAIN_KEY = /^[A-Za-z_][\w-]*$/;
const SHOWABLE_KEY = /^[\w.*:[\] -]{1,80}$/;

const step = (part: string | number, first: boolean): string => {
  if (typeof part === 'number') return `[${part}]`;
  if (PLAIN_KEY.test(part)) return first ? part : `.${part}`;
  return SHOWABLE_KEY.test(part) ? `["${part}"]` : '["..."]';
};

/** `accounts[0].plan`, `websites["*.shop.example"].siteDelay`; a key that may be a misplaced secret is not shown. */
export const pathText = (path: Path): string => path.map((part, i) => step(part, i === 0)).join('');

export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
