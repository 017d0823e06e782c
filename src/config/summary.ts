/** The configuration in a few lines a person can read, without a secret in it. */
import type { AccountEntry, Settings } from '../model/settings.ts';
import { showStore } from './store-url.ts';

const MOST_NAMED = 10;

const some = (names: readonly string[]): string =>
  names.length <= MOST_NAMED
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`;

const address = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

const accountText = ({ account }: AccountEntry): string => `${account.id} (${account.plan})`;

const upstreamText = ({ kind, label, localAddress, region, rotating }: Settings['upstreams'][number]): string =>
  [kind, label ?? localAddress, region, rotating ? 'rotating' : undefined]
    .filter((part) => part !== undefined)
    .join(' ');

/** Where a list comes from; a URL's path and query may be its secret. */
const listText = (location: string): string => (URL.canParse(location) ? new URL(location).host : location);

const listenText = ({ listen }: Settings): string =>
  [
    address(listen.host, listen.port),
    listen.tlsPort === undefined ? undefined : `TLS ${address(listen.host, listen.tlsPort)}`,
    listen.http2 ? 'h2 in tunnels' : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(', ');

/** Lines of `name: value`. Holds no key, password or URL with one. */
export const summaryLines = (settings: Settings): string[] => {
  const { accounts, upstreams, upstreamLists, websites } = settings;
  const rows: readonly (readonly [string, string])[] = [
    ['listen', listenText(settings)],
    ['admin', address(settings.admin.host, settings.admin.port)],
    ['store', showStore(settings.store)],
    ['workers', String(settings.workers)],
    ['accounts', accounts.length === 0 ? 'one, its key made at first start' : some(accounts.map(accountText))],
    ['upstreams', upstreams.length === 0 ? 'none' : some(upstreams.map(upstreamText))],
    ['upstream lists', some(upstreamLists.map(({ location }) => listText(location)))],
    ['websites', some(websites.map(({ pattern }) => pattern))],
    ['certificates', settings.certificates],
    ['data', settings.data],
    ['log level', settings.log.level],
  ];
  return rows.filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${value}`);
};
