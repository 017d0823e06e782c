/** Lists of upstreams as providers hand them out: one a line. */
import type { Upstream } from '../model/job.ts';
import { fine, type Parsed, wrong } from './parsed.ts';
import { type Endpoint, hasControlCharacter, makeUpstream, parseUpstreamUrl } from './upstream-url.ts';

export interface ParsedList {
  /** Each once, in the order of the list. */
  readonly upstreams: readonly Upstream[];
  /** `line 3: message`; such lines are left out. At most 20, then a line that counts the rest. */
  readonly errors: readonly string[];
}

const MOST_UPSTREAMS = 100_000;
const MOST_ERRORS = 20;

const COLON_FORM = /^(\[[^\]]+\]|[^:[\]]+):(\d{1,5})(?::([^:]+):(.*))?$/;

/** `host:port` or `host:port:user:pass`; nothing in it is percent-encoded. */
const parseColonForm = (line: string): Parsed<Endpoint> => {
  const match = COLON_FORM.exec(line);
  if (!match || hasControlCharacter(line)) return wrong('expected a URL, host:port or host:port:user:pass');
  const endpoint = parseUpstreamUrl(`http://${match[1]}:${match[2]}`);
  return endpoint.ok ? fine({ ...endpoint.value, username: match[3], password: match[4] }) : endpoint;
};

const parseLine = (line: string): Parsed<Endpoint> => {
  const isUrl = line.includes('://') || /^direct:/i.test(line);
  const endpoint = isUrl ? parseUpstreamUrl(line) : parseColonForm(line);
  return endpoint.ok && endpoint.value.kind === 'direct' ? wrong('a list cannot name direct exits') : endpoint;
};

const withRest = (errors: readonly string[]): readonly string[] =>
  errors.length <= MOST_ERRORS
    ? errors
    : [...errors.slice(0, MOST_ERRORS), `and ${errors.length - MOST_ERRORS} more lines like these`];

/** Reads a list; `#` begins a comment, blank lines are skipped. Messages repeat nothing of a line. */
export const parseUpstreamList = (text: string): ParsedList => {
  const found = new Map<string, Upstream>();
  const errors: string[] = [];
  let number = 0;
  for (const raw of text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)) {
    number++;
    const line = raw.replace(/(?:^|\s)#.*$/, '').trim();
    if (line === '') continue;
    if (found.size >= MOST_UPSTREAMS) {
      errors.push(`line ${number}: a list has at most ${MOST_UPSTREAMS} upstreams`);
      break;
    }
    const endpoint = parseLine(line);
    if (!endpoint.ok) {
      errors.push(`line ${number}: ${endpoint.message}`);
      continue;
    }
    const upstream = makeUpstream(endpoint.value);
    if (!found.has(upstream.id)) found.set(upstream.id, upstream);
  }
  return { upstreams: [...found.values()], errors: withRest(errors) };
};
