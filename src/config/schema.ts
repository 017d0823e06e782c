/** The keys of the configuration file, their defaults and what each accepts. Home of zod. */
import { z } from 'zod';
import { controlNameProblems, parseControlValue, parseKey, parseKeySha256 } from './accounts.ts';
import { parseHost, parseNetworkOrHost } from './hosts.ts';
import { fine, isMapping, type Parsed, type Problem, wrong } from './parsed.ts';
import { parseDuration, parsePortRange, parseSize, parseWhole } from './quantities.ts';
import { parseStoreUrl } from './store-url.ts';
import { nearest } from './suggest.ts';
import { parseUpstreamUrl } from './upstream-url.ts';

/** A value read by one of our own readers; the reader's message becomes the problem's. */
export const read = <T>(reader: (value: unknown) => Parsed<T>) =>
  z.unknown().transform((value, context): T => {
    const parsed = reader(value);
    if (parsed.ok) return parsed.value;
    context.addIssue({ code: 'custom', message: parsed.message });
    return z.NEVER;
  });

/** More keys than these are not listed. */
const MOST_LISTED = 10;

const unknownKey = (key: string, known: readonly string[]): string => {
  const meant = nearest(key, known);
  if (meant !== undefined) return `unknown key, did you mean ${meant}?`;
  return known.length > MOST_LISTED ? 'unknown key' : `unknown key (known here: ${known.join(', ')})`;
};

/** A mapping with exactly these keys. An unknown key's message stands on its own line, in the order of the issue's keys. */
export const section = <S extends z.core.$ZodShape>(shape: S) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join('\n')
        : 'expected a mapping of keys to values',
  });

const text = () =>
  read((value) =>
    typeof value === 'string' && value.trim() !== ''
      ? fine(value)
      : wrong(typeof value === 'number' ? 'expected text: put it in quotes' : 'expected text'),
  );
const line = () =>
  read((value) =>
    typeof value === 'string' && /^[ -~]{1,200}$/.test(value) ? fine(value) : wrong('expected one line of ASCII text'),
  );
const matching = (pattern: RegExp, expected: string) =>
  read((value) => (typeof value === 'string' && pattern.test(value) ? fine(value) : wrong(`expected ${expected}`)));
export const flag = () => z.boolean('expected true or false');
const whole = (least: number, most: number) => read((value) => parseWhole(value, least, most));
const duration = (atLeastMs = 0) => read((value) => parseDuration(value, atLeastMs));
const size = (atLeast = 0) => read((value) => parseSize(value, atLeast));
export const oneOf = <const W extends string | number>(...words: readonly W[]) =>
  read((value) => (words.includes(value as W) ? fine(value as W) : wrong(`expected one of ${words.join(', ')}`)));
const listOf = <T extends z.ZodType>(item: T) => z.array(item, 'expected a list');
/** 0 = any free port. */
const port = () => whole(0, 65_535);

/** Control headers of an account; each wrong one is named by its own line. */
const controlDefaults = () =>
  z
    .record(z.string(), read(parseControlValue), 'expected a mapping of control headers to values')
    .transform((values, context) => {
      for (const [name, message] of controlNameProblems(Object.keys(values)))
        context.addIssue({ code: 'custom', message, path: [name] });
      return Object.entries(values).flatMap(([name, value]) => [name.toLowerCase(), value]);
    });

const account = section({
  id: matching(/^[\w.-]{1,64}$/, '1 to 64 letters, digits and . _ -').prefault('default'),
  key: read(parseKey).optional(),
  keySha256: read(parseKeySha256).optional(),
  plan: oneOf('c10', 'c50', 'c100', 'c200', 'enterprise').prefault('enterprise'),
  dialect: oneOf('crawlera', 'spm', 'auto').prefault('crawlera'),
  defaults: controlDefaults().prefault({}),
  maxConnections: whole(1, 1_000_000).optional(),
  maxSessions: whole(1, 1_000_000).optional(),
});

const upstreamUrl = (value: unknown) =>
  typeof value === 'string' ? parseUpstreamUrl(value) : wrong('expected the URL of an upstream');

const upstream = section({
  url: read(upstreamUrl).optional(),
  region: matching(/^[A-Za-z]{2}$/, 'a country of two letters')
    .transform((code) => code.toLowerCase())
    .optional(),
  weight: whole(1, 1000).optional(),
  rotating: flag().optional(),
  list: matching(/^[^\p{Cc}]{1,2000}$/u, 'https://... or the path of a file, on one line').optional(),
  every: duration(1000).optional(),
});

const website = section({
  siteDelay: duration().optional(),
  slaveDelay: duration().optional(),
  insecureTarget: flag().optional(),
  forbidden: flag().optional(),
});

/** The top-level keys. A missing one takes the default written here. */
const SECTIONS = {
  listen: section({
    host: read(parseHost).prefault('127.0.0.1'),
    port: port().prefault(8010),
    tls: section({ port: port().prefault(8014) }).optional(),
    http2: flag().prefault(false),
    names: listOf(read(parseHost)).prefault([]),
  }).prefault({}),
  admin: section({
    host: read(parseHost).prefault('127.0.0.1'),
    port: port().prefault(8012),
    key: read(parseKey).optional(),
  }).prefault({}),
  certificates: text().prefault('./certs'),
  authStatus: oneOf(407, 401).prefault(407),
  data: text().prefault('./data'),
  store: read(parseStoreUrl).prefault('memory'),
  workers: whole(1, 256).prefault(1),
  pacing: section({
    siteDelay: duration().prefault('200ms'),
    slaveDelay: duration().prefault('1s'),
    softLimit: duration(1).prefault('120s'),
    maxHold: duration(1).prefault('1000s'),
    hardLimit: duration(1).prefault('1000s'),
  }).prefault({}),
  sessions: section({ idle: duration(1000).prefault('30m') }).prefault({}),
  bans: section({
    rules: text().optional(),
    duration: duration(1).prefault('10m'),
    upstreamDown: duration(1).prefault('30s'),
  }).prefault({}),
  cookies: section({ idle: duration(1000).prefault('15m') }).prefault({}),
  userAgents: text().optional(),
  targets: section({
    allowPrivate: listOf(read(parseNetworkOrHost)).prefault([]),
    ports: listOf(read(parsePortRange)).prefault([80, 443, '1024-65535']),
    extraRoots: text().optional(),
  }).prefault({}),
  limits: section({
    headers: size(1024).prefault('100KiB'),
    replay: size().prefault('1MiB'),
    response: size().prefault('500MiB'),
    outstanding: whole(1, 10_000_000).prefault(10_000),
    retries: whole(0, 5).prefault(5),
  }).prefault({}),
  timeouts: section({
    connect: duration(1).prefault('10s'),
    response: duration(1).prefault('30s'),
    responseMin: duration(1).prefault('30s'),
    responseMax: duration(1).prefault('180s'),
    drain: duration().prefault('30s'),
  }).prefault({}),
  storeLoss: oneOf('refuse', 'alone').prefault('refuse'),
  operatorContact: line().prefault('the operator of this proxy'),
  log: section({
    level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').prefault('info'),
  }).prefault({}),
  accounts: z.array(account, 'expected a list of accounts').prefault([]),
  upstreams: z.array(upstream, 'expected a list of upstreams').prefault([]),
  websites: z.record(z.string(), website, 'expected a mapping of host names to settings').prefault({}),
} as const;

/** Every section as read, durations in milliseconds and sizes in bytes. */
export type Shape = { readonly [K in keyof typeof SECTIONS]: z.output<(typeof SECTIONS)[K]> };

const TOP_KEYS = Object.keys(SECTIONS);

export const problemsOf = (error: z.ZodError, at: readonly (string | number)[]): Problem[] =>
  error.issues.flatMap((issue) => {
    const path = [...at, ...(issue.path as (string | number)[])];
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    const messages = issue.message.split('\n');
    return issue.keys.map((key, i) => ({ path: [...path, key], message: messages[i] as string }));
  });

/** Reads a tree of plain values; `shape` is there only when nothing at all is wrong. */
export const readShape = (tree: unknown): { shape: Shape | undefined; problems: readonly Problem[] } => {
  if (!isMapping(tree)) return { shape: undefined, problems: [{ path: [], message: 'expected a mapping of keys' }] };
  const problems: Problem[] = Object.keys(tree)
    .filter((key) => !TOP_KEYS.includes(key))
    .map((key) => ({ path: [key], message: unknownKey(key, TOP_KEYS) }));
  const shape: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries<z.ZodType>(SECTIONS)) {
    const result = schema.safeParse(tree[key]);
    if (result.success) shape[key] = result.data;
    else problems.push(...problemsOf(result.error, [key]));
  }
  return { shape: problems.length === 0 ? (shape as unknown as Shape) : undefined, problems };
};

const readDefaults = (): Shape => {
  const { shape } = readShape({});
  if (!shape) throw new Error('the defaults of the configuration do not fit its schema');
  return shape;
};

/** What an empty file means. */
export const DEFAULTS: Shape = readDefaults();
