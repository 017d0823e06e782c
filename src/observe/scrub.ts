/** Takes secrets out of text and fields that go to the log (robustness C11). */

const HIDDEN = '***';

/** Long texts are cut before they are searched. */
const MOST_CHARACTERS = 16_384;

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // User name and password of a URL, up to the last @ of the word.
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s"'<>]*@/gi, `$1${HIDDEN}@`],
  // Query of a URL.
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'<>?]{1,2000}\?)[^\s"'<>]+/gi, `$1${HIDDEN}`],
  [/\b((?:proxy-)?authorization|(?:set-)?cookie2?)(["']?\s*[:=,]\s*["']?)[^"'\r\n]+/gi, `$1$2${HIDDEN}`],
  [/\b(basic|bearer)\s+[\w+/=.~-]{4,}/gi, `$1 ${HIDDEN}`],
  [/\b(password|passwd|secret|api-?_?key|token)(["']?\s*[:=]\s*["']?)[^\s"',;]+/gi, `$1$2${HIDDEN}`],
];

/** Control characters but line feed and tab: they could forge lines on a terminal (robustness B02). */
const CONTROL = /[^\P{Cc}\n\t]|[\u2028\u2029]/gu;

const SECRET_FIELD = /key$|pass|secret|token|auth|cookie|credential/i;

/** Text without URL credentials and queries, authorization and cookie values, and control characters. */
export const scrubText = (text: string): string => {
  const short = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text;
  return PATTERNS.reduce((clean, [pattern, hidden]) => clean.replace(pattern, hidden), short.replace(CONTROL, ' '));
};

const MOST_LEVELS = 4;

/** Fields with texts scrubbed and secret-looking names blanked out. Plain values only; what is deeper is left out. */
export const scrubFields = (value: unknown, level = 0): unknown => {
  if (typeof value === 'string') return scrubText(value);
  if (value instanceof Error) return scrubError(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (level >= MOST_LEVELS) return undefined;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => scrubFields(item, level + 1));
  const entries = Object.entries(value).slice(0, 100);
  return Object.fromEntries(
    entries.map(([name, field]) => [
      name,
      SECRET_FIELD.test(name) && typeof field === 'string' ? HIDDEN : scrubFields(field, level + 1),
    ]),
  );
};

const MOST_CAUSES = 5;

const textOf = (thrown: unknown): string => {
  try {
    return String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
};

/** An error as plain fields. Only the usual ones: others may hold the request or URL that failed. */
export const scrubError = (error: unknown, causes = 0): Record<string, unknown> => {
  if (!(error instanceof Error)) return { message: scrubText(textOf(error)) };
  const code = (error as NodeJS.ErrnoException).code;
  return {
    type: error.name,
    message: scrubText(error.message),
    ...(typeof code === 'string' && { code }),
    stack: scrubText(error.stack ?? ''),
    ...(error.cause !== undefined && causes < MOST_CAUSES && { cause: scrubError(error.cause, causes + 1) }),
  };
};
