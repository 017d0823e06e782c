/** The lexical rules that heads of requests and responses share, read strictly: what two parsers could read differently is no match. */

const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1;
}

/** Whether `text[from, to)` is a token (RFC 9110, 5.6.2): one character or more. */
export const isToken = (text: string, from: number, to: number): boolean => {
  if (from >= to) return false;
  for (let i = from; i < to; i++) if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  return true;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
export const STRAY_CONTROL = /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/;

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** `text[from, to)` without spaces and tabs around it; no other white space counts (RFC 9110). */
export const trimmed = (text: string, from: number, to: number): string => {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
};

export const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** The number that 1 to 15 digits and nothing else make; `undefined` for any other text. */
export const digitsOnly = (text: string): number | undefined => {
  if (text.length === 0 || text.length > 15) return undefined;
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return undefined;
  return Number(text);
};

/** Index of the CR that ends the line at `from`; -1 when a CR or LF stands alone anywhere in it. */
export const lineEnd = (text: string, from: number): number => {
  const cr = text.indexOf('\r', from);
  return cr === -1 || text.indexOf('\n', from) !== cr + 1 ? -1 : cr;
};
