/** Saved responses, as `curl -i` writes them, read for trying ban rules on them. */
import { type BanRules, isOpen, type Judgement } from './ban.ts';
import { decodeStart, decodeWithin } from './ban-decode.ts';
import type { Asked, Head } from './ban-facts.ts';
import { BODY_BYTES } from './ban-rule.ts';

export interface Sample {
  readonly asked: Asked;
  readonly head: Head;
  readonly body: Buffer;
}

const URL_BY_DEFAULT = 'https://www.example.com/';

/** What a response is taken to answer; throws `TypeError` for what is no URL. */
export const askedFor = (url = URL_BY_DEFAULT, method = 'GET'): Asked => {
  const { protocol, host, hostname, pathname, search } = new URL(url);
  return {
    method,
    target: { scheme: protocol.slice(0, -1), host: hostname, authority: host },
    path: pathname + search,
  };
};

const STATUS_LINE = /^HTTP\/\S+ (\d{3})/;
const REQUEST_LINE = /^([A-Z]+) (https?:\/\/\S+)$/;

/** End of the head that begins at `from`, and where what follows it begins. */
const headEnd = (text: string, from: number): readonly [number, number] => {
  const match = /\r?\n\r?\n/.exec(text.slice(from));
  return match ? [from + match.index, from + match.index + match[0].length] : [text.length, text.length];
};

const headersOf = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return colon > 0 ? [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] : [];
  });

/**
 * An optional line `METHOD URL`, a status line, headers, a blank line, and the body to the end of the file.
 * Of several heads in a row (a proxy's, 1xx) the last one counts. `undefined` when there is no status line.
 */
export const parseSample = (bytes: Buffer, url?: string, method?: string): Sample | undefined => {
  const text = bytes.toString('latin1');
  const [, ownMethod, ownUrl] = REQUEST_LINE.exec(text.split(/\r?\n/, 1)[0] ?? '') ?? [];
  let start = ownUrl === undefined ? 0 : text.indexOf('\n') + 1;
  let [end, bodyAt] = headEnd(text, start);
  while (STATUS_LINE.test(text.slice(bodyAt, bodyAt + 20))) {
    start = bodyAt;
    [end, bodyAt] = headEnd(text, start);
  }
  const [first = '', ...lines] = text.slice(start, end).split(/\r?\n/);
  const status = STATUS_LINE.exec(first)?.[1];
  if (status === undefined) return undefined;
  const body = bytes.subarray(bodyAt);
  return {
    asked: askedFor(url ?? ownUrl, method ?? ownMethod),
    head: { status: Number(status), headers: headersOf(lines), length: body.length },
    body,
  };
};

/** As a response that arrives whole would be judged. A body saved decoded, whatever its header says, is taken as it is. */
export const judgeSample = (rules: BanRules, { asked, head, body }: Sample): Judgement => {
  const found = rules.judge(asked, head);
  if (!isOpen(found)) return found;
  const coding = decodeWithin(body, found.coding, BODY_BYTES) === 'broken' ? 'identity' : found.coding;
  if (found.reach >= BODY_BYTES) return found.judge(decodeStart(body, coding));
  const start = decodeWithin(body, coding, found.reach);
  return found.judge(typeof start === 'string' ? undefined : start);
};
