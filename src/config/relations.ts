/** What must hold between keys of the configuration. Judged on the plain tree, so that one wrong key hides no other. */
import { hashKey } from './accounts.ts';
import { parseHostPattern } from './hosts.ts';
import { isMapping, type Path, type Problem } from './parsed.ts';
import { parseDuration } from './quantities.ts';
import type { Shape } from './schema.ts';
import { hasPlaceholder, makeUpstream, parseUpstreamUrl } from './upstream-url.ts';

type Tree = Readonly<Record<string, unknown>>;

const mapping = (value: unknown): Tree => (isMapping(value) ? value : {});
const items = (value: unknown): readonly Tree[] => (Array.isArray(value) ? value.map(mapping) : []);
const has = (tree: Tree, key: string): boolean => tree[key] !== undefined;
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Those whose word an earlier one has too; `undefined` words are not compared. */
const repeated = (words: readonly (string | undefined)[]): number[] =>
  words.flatMap((word, i) => (word !== undefined && words.indexOf(word) < i ? [i] : []));

const keyHash = (account: Tree): string | undefined => {
  const key = text(account['key']);
  return key === undefined ? text(account['keySha256'])?.toLowerCase() : hashKey(key);
};

function* accountProblems(tree: Tree): Generator<Problem> {
  if (!Array.isArray(tree['accounts'])) return;
  const accounts = items(tree['accounts']);
  for (const [i, account] of accounts.entries()) {
    if (isMapping(tree['accounts'][i]) && has(account, 'key') === has(account, 'keySha256'))
      yield { path: ['accounts', i], message: 'an account has either key or keySha256' };
  }
  for (const i of repeated(accounts.map((account) => text(account['id'] ?? 'default'))))
    yield { path: ['accounts', i, 'id'], message: 'another account has the same id' };
  for (const i of repeated(accounts.map(keyHash)))
    yield { path: ['accounts', i, 'key'], message: 'another account has the same key' };
}

function* upstreamShape(upstream: Tree, at: Path): Generator<Problem> {
  if (has(upstream, 'url') === has(upstream, 'list')) yield { path: at, message: 'an upstream has either url or list' };
  if (has(upstream, 'every') && !has(upstream, 'list'))
    yield { path: [...at, 'every'], message: 'every belongs to a list' };
  for (const key of ['region', 'weight', 'rotating'])
    if (has(upstream, key) && has(upstream, 'list') && !has(upstream, 'url'))
      yield { path: [...at, key], message: `${key} belongs to a url, not to a list` };
}

const identity = (upstream: Tree): string | undefined => {
  const endpoint = parseUpstreamUrl(text(upstream['url']) ?? '');
  return endpoint.ok ? makeUpstream(endpoint.value, { region: text(upstream['region'])?.toLowerCase() }).id : undefined;
};

function* upstreamProblems(tree: Tree): Generator<Problem> {
  if (!Array.isArray(tree['upstreams'])) return;
  const upstreams = items(tree['upstreams']);
  const seen = new Set<string>();
  for (const [i, upstream] of upstreams.entries()) {
    const at = ['upstreams', i];
    if (isMapping(tree['upstreams'][i])) yield* upstreamShape(upstream, at);
    const endpoint = parseUpstreamUrl(text(upstream['url']) ?? '');
    if (endpoint.ok && hasPlaceholder(endpoint.value) && upstream['rotating'] !== true)
      yield { path: [...at, 'url'], message: '{session} needs rotating: true' };
    const id = identity(upstream);
    if (id !== undefined && seen.has(id)) yield { path: at, message: 'the same upstream stands here twice' };
    if (id !== undefined) seen.add(id);
  }
}

function* websiteProblems(tree: Tree): Generator<Problem> {
  const names = Object.keys(mapping(tree['websites']));
  const patterns = names.map(parseHostPattern);
  for (const [i, pattern] of patterns.entries())
    if (!pattern.ok) yield { path: ['websites', names[i] as string], message: pattern.message };
  for (const i of repeated(patterns.map((pattern) => (pattern.ok ? pattern.value : undefined))))
    yield { path: ['websites', names[i] as string], message: 'the same website stands here twice' };
}

function* timeoutProblems(tree: Tree, defaults: Shape): Generator<Problem> {
  const given = mapping(tree['timeouts']);
  const msOf = (key: 'response' | 'responseMin' | 'responseMax'): number => {
    const parsed = has(given, key) ? parseDuration(given[key]) : undefined;
    if (parsed === undefined) return defaults.timeouts[key];
    return parsed.ok ? parsed.value : Number.NaN;
  };
  const [used, least, most] = [msOf('response'), msOf('responseMin'), msOf('responseMax')];
  if (least > most)
    yield { path: ['timeouts', 'responseMin'], message: 'responseMin must not be longer than responseMax' };
  else if (used < least || used > most)
    yield { path: ['timeouts', 'response'], message: 'response must lie between responseMin and responseMax' };
}

const ANY_ADDRESS = ['0.0.0.0', '::'];

function* listenerProblems(tree: Tree, defaults: Shape): Generator<Problem> {
  const listen = { ...defaults.listen, ...mapping(tree['listen']) };
  const admin = { ...defaults.admin, ...mapping(tree['admin']) };
  const listeners: { path: Path; host: unknown; port: unknown }[] = [
    { path: ['listen', 'port'], host: listen.host, port: listen.port },
  ];
  if (isMapping(listen.tls))
    listeners.push({ path: ['listen', 'tls'], host: listen.host, port: mapping(listen.tls)['port'] ?? 8014 });
  listeners.push({ path: ['admin', 'port'], host: admin.host, port: admin.port });
  for (const [i, one] of listeners.entries()) {
    const clash = listeners
      .slice(0, i)
      .some(
        ({ host, port }) =>
          port === one.port &&
          port !== 0 &&
          (host === one.host || [host, one.host].some((h) => ANY_ADDRESS.includes(h as string))),
      );
    if (clash) yield { path: one.path, message: 'another listener of this proxy has the same port' };
  }
}

function* storeProblems(tree: Tree): Generator<Problem> {
  const workers = tree['workers'];
  if (typeof workers === 'number' && workers > 1 && (tree['store'] ?? 'memory') === 'memory')
    yield { path: ['workers'], message: 'more than one worker needs a Redis store' };
}

/** Every relation that does not hold in a tree; `defaults` stands in for what the tree leaves out. */
export const relationProblems = (tree: unknown, defaults: Shape): Problem[] => {
  const given = mapping(tree);
  return [
    ...accountProblems(given),
    ...upstreamProblems(given),
    ...websiteProblems(given),
    ...timeoutProblems(given, defaults),
    ...listenerProblems(given, defaults),
    ...storeProblems(given),
  ];
};
