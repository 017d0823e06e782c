/** One entry of a file of user agents: a string, or a template spread over versions (G-05). */
import { type Agent, readUserAgent } from '../model/agents.ts';
import { fine, isMapping, type Parsed, type Path, type Problem, wrong } from './parsed.ts';

const KEYS: readonly string[] = ['userAgent', 'versions', 'weight'];
const MOST_VERSIONS = 20;
const HEAVIEST = 1_000_000;
const PLACEHOLDER = '{version}';
const VERSION = /^(\d{1,5}(?:\.\d{1,5}){0,3})=(\d{1,6}(?:\.\d{1,6})?)$/;

type Version = readonly [version: string, share: number];

/** `157=60 156=40`; one text, for a number would lose the 0 of 26.10. */
const parseVersions = (value: unknown): Parsed<readonly Version[]> => {
  const words = typeof value === 'string' ? value.split(/\s+/).filter((word) => word !== '') : [];
  const versions = words.flatMap((word): Version[] => {
    const [, version = '', share] = VERSION.exec(word) ?? [];
    return Number(share) > 0 ? [[version, Number(share)]] : [];
  });
  if (versions.length === 0 || versions.length !== words.length)
    return wrong('expected a text such as "157=60 156=40": versions with their shares');
  return versions.length > MOST_VERSIONS ? wrong(`expected at most ${MOST_VERSIONS} versions`) : fine(versions);
};

const parseWeight = (value: unknown): Parsed<number> =>
  typeof value === 'number' && value > 0 && value <= HEAVIEST
    ? fine(value)
    : wrong(`expected a number above 0, at most ${HEAVIEST}`);

const parseText = (value: unknown): Parsed<string> =>
  typeof value === 'string' && /^[ -~]{1,512}$/.test(value) && value.trim() === value
    ? fine(value)
    : wrong('expected a user agent: 1 to 512 ASCII characters on one line');

const UNKNOWN_BROWSER =
  'expected the whole user agent of Chrome, Edge, Firefox or Safari: the headers of others are not known';

/** One agent a version, each with its share of the weight. */
const spread = (text: string, weight: number, versions: readonly Version[]): Parsed<Agent[]> => {
  const sum = versions.reduce((total, [, share]) => total + share, 0);
  const agents = versions.flatMap(([version, share]) => {
    const browser = readUserAgent(text.replaceAll(PLACEHOLDER, version));
    return browser ? [{ ...browser, weight: (weight * share) / sum }] : [];
  });
  return agents.length === versions.length ? fine(agents) : wrong(UNKNOWN_BROWSER);
};

const AS_IS: readonly Version[] = [['', 1]];

/** The agents of one entry; what is wrong with it goes to `problems`. */
export const readEntry = (entry: unknown, at: Path, problems: Problem[]): Agent[] => {
  const fields: unknown = typeof entry === 'string' ? { userAgent: entry } : entry;
  const complain = (path: Path, message: string): void => {
    problems.push({ path, message });
  };
  if (!isMapping(fields)) {
    complain(at, `expected a user agent, or a mapping of ${KEYS.join(', ')}`);
    return [];
  }
  const before = problems.length;
  for (const key of Object.keys(fields))
    if (!KEYS.includes(key)) complain([...at, key], `unknown key (known here: ${KEYS.join(', ')})`);
  const take = <T>(key: string, parsed: Parsed<T>, instead: T): T => {
    if (parsed.ok) return parsed.value;
    complain(key in fields && typeof entry !== 'string' ? [...at, key] : at, parsed.message);
    return instead;
  };
  const optional = <T>(key: string, parse: (value: unknown) => Parsed<T>, absent: T): T =>
    key in fields ? take(key, parse(fields[key]), absent) : absent;
  const text = take('userAgent', parseText(fields['userAgent']), '');
  const weight = optional('weight', parseWeight, 1);
  const versions = optional('versions', parseVersions, AS_IS);
  if (problems.length > before) return [];
  if (text.includes(PLACEHOLDER) !== 'versions' in fields) {
    complain(at, `${PLACEHOLDER} in the user agent and the key versions go together`);
    return [];
  }
  return take('userAgent', spread(text, weight, versions), []);
};
