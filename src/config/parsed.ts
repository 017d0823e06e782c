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

const LETTERS = /^[A-Za-z_][A-Za-z_-]{0,40}$/;
const KEYS_WITH_DIGITS = ['http2', 'keySha256'];
const USERS_OWN = ['websites', 'defaults'];
const SHOWABLE = /^[\w.*:[\]-]{1,80}$/;

const step = (part: string | number, above: string | number | undefined): string => {
  if (typeof part === 'number') return `[${part}]`;
  if (LETTERS.test(part) || KEYS_WITH_DIGITS.includes(part)) return above === undefined ? part : `.${part}`;
  return USERS_OWN.includes(String(above)) && SHOWABLE.test(part) ? `["${part}"]` : '["..."]';
};

/** `accounts[0].plan`, `websites["*.shop.example"].siteDelay`; a key that may be a misplaced secret is not shown. */
export const pathText = (path: Path): string => path.map((part, i) => step(part, path[i - 1])).join('');

export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
