/** Whether a response is a ban rather than an answer: the generic rules, judged by the head. */
import { type HeaderList, lastValue } from '../model/headers.ts';

interface HeadRule {
  readonly name: string;
  readonly status: number;
  readonly when?: (headers: HeaderList) => boolean;
}

/** A page for people, or one that does not say what it is. */
const isPage = (headers: HeaderList): boolean => {
  const type = lastValue(headers, 'content-type')?.trim().toLowerCase() ?? '';
  return type === '' || /^(?:text\/html|application\/xhtml\+xml)(?:[\s;]|$)/.test(type);
};

const RULES: readonly HeadRule[] = [
  { name: 'status-429', status: 429 },
  { name: 'status-999', status: 999 },
  { name: 'status-503-no-retry-after', status: 503, when: (headers) => !lastValue(headers, 'retry-after')?.trim() },
  { name: 'status-403-html', status: 403, when: isPage },
];

/** Name of the rule that fires, or `undefined` for an answer. `method` does not matter yet: HEAD is judged alike. */
export const judgeHead = (_method: string, status: number, headers: HeaderList): string | undefined => {
  if (status < 400) return undefined;
  return RULES.find((rule) => rule.status === status && (rule.when?.(headers) ?? true))?.name;
};
