/** The `serve` sub-command: one process from its first line of output to its exit. */
import { unwatchFile, watchFile } from 'node:fs';
import { resolve } from 'node:path';
import { openAdmin } from '../api/admin.ts';
import { type App, shownAddress, startApp } from '../app.ts';
import { withAdminKey, withFirstKey } from '../config/first-key.ts';
import { configFile, type LoadOptions, loadSettings } from '../config/load.ts';
import { openAuthority } from '../inbound/authority.ts';
import type { Settings } from '../model/settings.ts';
import { makeLogLedger } from '../observe/ledger.ts';
import { type Log, openLog } from '../observe/log.ts';
import { bothLedgers, makeGatheredMetrics, makeMetrics } from '../observe/metrics.ts';
import { holdDataFolder } from '../store/data-folder.ts';
import { isWorker, runWorkers, sharedTicketKeys } from './workers.ts';

export interface ServeOptions extends Pick<LoadOptions, 'env' | 'cwd'> {
  readonly config: string | undefined;
  readonly version: string;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

const WATCH_MS = 2_000;

type Load = () => { settings: Settings | undefined; errors: readonly string[] };

/** Resolves to the exit status when the process is to end. */
export const serve = async (options: ServeOptions): Promise<number> => {
  const { config, env, cwd, err } = options;
  // One that comes before there is anything to load anew must not end the process, which is what Node does with it.
  process.on('SIGHUP', () => undefined);
  const where = configFile(config, env);
  const load: Load = () => loadSettings({ ...where, env, cwd });
  const loaded = load();
  if (!loaded.settings) {
    for (const line of loaded.errors) err(line);
    return 1;
  }
  let log: Log | undefined;
  let folder: { release(): Promise<void> } | undefined;
  try {
    log = openLog({ level: loaded.settings.log.level });
    folder = await holdDataFolder(loaded.settings, log.warn);
    const { settings: keyed, kept } = withFirstKey(loaded.settings);
    const { settings } = withAdminKey(keyed);
    const announce = (address: string): void => {
      if (kept?.made) for (const line of firstKeyLines(kept.key, kept.file, address)) options.out(line);
    };
    return settings.workers > 1 && !isWorker()
      ? await servePrimary(settings, log, options, announce)
      : await serveHere(settings, log, options, load, resolve(cwd, where.file), announce);
  } catch (error) {
    err(`crawlgate: ${startProblem(error)}`);
    return 1;
  } finally {
    await folder?.release();
    log?.close();
  }
};

/** The primary makes what workers share, the CA first of all, and serves nothing itself. */
const servePrimary = (
  settings: Settings,
  log: Log,
  { version }: ServeOptions,
  announce: (address: string) => void,
): Promise<number> => {
  openAuthority(settings.certificates);
  const { host, port, tlsPort } = settings.listen;
  let ready = false;
  void openAdminPort(settings, log, makeGatheredMetrics().text, () => ready);
  return runWorkers({
    count: settings.workers,
    listeners: tlsPort === undefined ? 1 : 2,
    log,
    onReady() {
      ready = true;
      announce(shownAddress(settings, port));
      log.info(`listening on ${host}:${port} with ${settings.workers} workers`, { version });
      if (tlsPort !== undefined) log.info(`listening on ${host}:${tlsPort} for TLS`);
    },
  });
};

const serveHere = async (
  settings: Settings,
  log: Log,
  { version, env }: ServeOptions,
  load: Load,
  file: string,
  announce: (address: string) => void,
): Promise<number> => {
  const ticketKeys = sharedTicketKeys(env);
  const metrics = makeMetrics(isWorker());
  const ledger = bothLedgers(makeLogLedger(log), metrics.ledger);
  const app = await startApp(settings, {
    ledger,
    say: log,
    version,
    gauges: metrics,
    ...(ticketKeys && { ticketKeys }),
  });
  if (!isWorker()) await openAdminPort(settings, log, metrics.text, app.ready);
  announce(app.reachedAt);
  // In a worker it is the primary that says so, once.
  const level = isWorker() ? 'debug' : 'info';
  const { address, tlsAddress } = app;
  log[level](`listening on ${address.address}:${address.port}`, { version });
  if (tlsAddress) log[level](`listening on ${tlsAddress.address}:${tlsAddress.port} for TLS`);
  return untilStopped(app, log, () => reload(app, log, load), file);
};

/** A proxy without its admin port is better than none: a port in use is said and lived with. */
const openAdminPort = async (
  { admin }: Settings,
  log: Log,
  metrics: () => Promise<string>,
  ready: () => boolean,
): Promise<void> => {
  try {
    await openAdmin({ host: admin.host, port: admin.port, key: admin.key ?? '', metrics, ready });
  } catch (error) {
    log.warn(`no admin port: ${startProblem(error)}`);
  }
};

const firstKeyLines = (key: string, file: string, address: string): string[] => [
  `A key was made and is kept in ${file}. Try it:`,
  `  curl -x ${address} -U ${key}: http://example.com/`,
];

/** What an operator can act on, without a stack. */
const startProblem = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === 'EADDRINUSE') return `${address}:${port} is in use by another program`;
  if (code === 'EACCES' && port !== undefined) return `no permission to listen on ${address}:${port}`;
  if (code === 'EADDRNOTAVAIL') return `${address} is no address of this machine`;
  return error.message;
};

/** A broken file leaves the old configuration running and says so. */
const reload = (
  app: App,
  log: Log,
  load: () => { settings: Settings | undefined; errors: readonly string[] },
): void => {
  const { settings, errors } = load();
  if (!settings) {
    log.error('the configuration was not reloaded: it has mistakes', { mistakes: errors });
    return;
  }
  try {
    app.reload(withFirstKey(settings).settings);
    log.setLevel(settings.log.level);
    log.info('configuration reloaded');
  } catch (error) {
    log.failure('the configuration was not reloaded', error);
  }
};

/** Serves signals until one ends the process; a second one does not wait for the drain. */
const untilStopped = (app: App, log: Log, again: () => void, file: string): Promise<number> =>
  new Promise((done) => {
    const bug = (error: unknown): void => log.failure('unexpected error', error);
    process.on('uncaughtException', bug);
    process.on('unhandledRejection', bug);
    process.on('SIGHUP', again);
    watchFile(file, { interval: WATCH_MS, persistent: false }, (now, before) => {
      if (now.mtimeMs !== before.mtimeMs && now.size > 0) again();
    });
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) {
        // A terminal's Ctrl-C reaches a worker twice, once through its primary; that one alone counts signals.
        if (!isWorker()) done(1);
        return;
      }
      stopping = true;
      log.info(`${signal}: finishing what is running`);
      unwatchFile(file);
      app.close().then(
        () => done(0),
        (error: unknown) => {
          bug(error);
          done(1);
        },
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
