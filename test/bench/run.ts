/** `npm run bench`: this project beside Squid, a bare relay and the plain HTTP floor, in one run on this machine. */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { measureAdmission } from './admission.ts';
import { admissionText } from './admission-report.ts';
import { measureBans } from './bans.ts';
import { CASES, type Case } from './cases.ts';
import { CHECKED, checkReport, writeBaseline } from './check.ts';
import { compareClients } from './clients.ts';
import { writeSection } from './document.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import type { Started } from './peers/peer.ts';
import { PEERS } from './peers/registry.ts';
import { profile } from './profile.ts';
import { machineText, markdown, type Presence, type Report } from './report.ts';
import { type Contender, createDriver, measure, type Pace } from './rounds.ts';
import { measureScale } from './scale.ts';
import { setStage } from './stage.ts';
import type { Summary } from './stats.ts';

const QUICK_MS = 100_000;
const FULL_MS = 45 * 60_000;
const MAX_REQUESTS = 500_000;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** The line that says what is wrong, out of whatever a program wrote at its end. */
const brief = (error: unknown): string => {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n');
  return (lines.find((line) => /^\w*Error\b/.test(line)) ?? lines[0] ?? '').slice(0, 200);
};

const chosen = <T extends { readonly name: string }>(all: readonly T[], names: readonly string[] | undefined): T[] => {
  for (const name of names ?? []) if (!all.some((one) => one.name === name)) throw new Error(`there is no "${name}"`);
  return all.filter((one) => names === undefined || names.includes(one.name));
};

const startPeers = async (options: Options, stage: Awaited<ReturnType<typeof setStage>>) => {
  const running = new Map<string, Started>();
  const presences: Presence[] = [];
  for (const peer of chosen(PEERS, options.peers)) {
    let absent = peer.absent();
    if (absent === undefined) {
      try {
        running.set(peer.name, await peer.start(stage));
      } catch (error) {
        absent = `did not start: ${brief(error)}`;
      }
    }
    const version = absent === undefined ? peer.version() : undefined;
    presences.push({ name: peer.name, what: peer.what, version, absent });
    note(`${peer.name}: ${absent ? `absent, ${absent}` : (version ?? 'started')}`);
  }
  return { running, presences };
};

const contendersFor = (which: Case, running: ReadonlyMap<string, Started>): Contender[] => {
  const contenders: Contender[] = [];
  for (const { name, schemes, oneShot = false } of PEERS) {
    const started = running.get(name);
    if (started && schemes.includes(which.scheme)) contenders.push({ name, started, oneShot });
  }
  return which.unloaded ? [...contenders, { name: 'direct', started: undefined, oneShot: false }] : contenders;
};

const compare = async (options: Options): Promise<Report> => {
  const loadBefore = loadavg()[0] ?? 0;
  const stage = await setStage([]);
  const { running, presences } = await startPeers(options, stage);
  const cases = chosen(CASES, options.cases);
  const driver = createDriver(stage.origin, stage.originCa);
  const pace: Pace = {
    rounds: options.rounds,
    runMs: options.seconds * 1000,
    warmMs: options.quick ? 200 : 800,
    maxRequests: MAX_REQUESTS,
    until: Date.now() + (options.quick ? QUICK_MS : FULL_MS),
  };
  const summaries: Summary[] = [];
  for (const which of cases) {
    note(`measuring ${which.title}`);
    summaries.push(...(await measure(driver, which, contendersFor(which, running), pace)));
  }
  driver.stop();
  return {
    machine: machineText(),
    node: process.version,
    loadBefore,
    date: new Date().toISOString().slice(0, 10),
    rounds: options.rounds,
    secondsPerRound: options.seconds,
    peers: presences,
    cases,
    summaries,
  };
};

const told = (section: string, text: string, options: Options): number => {
  say(text);
  if (options.write) writeSection(section, text);
  return 0;
};

const keep = (measured: object, { json }: Options): void => {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(measured, undefined, 1)}\n`);
};

const guard = (report: Report, { write }: Options): number => {
  if (write) {
    say(`baseline: ${writeBaseline(report)}`);
    return 0;
  }
  const { text, fine } = checkReport(report);
  say(text);
  return fine ? 0 : 1;
};

const main = async (): Promise<number> => {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    say(USAGE);
    return 0;
  }
  if (options.profile) {
    say(await profile(options.profile.peer, options.profile.caseName, options.seconds));
    return 0;
  }
  if (options.clients) return told('clients', await compareClients(options), options);
  if (options.scale) return told('scale', await measureScale(options.quick), options);
  if (options.bans) return told('bans', await measureBans(), options);
  if (options.admission) {
    const measured = await measureAdmission(options.quick);
    keep(measured, options);
    return told('admission', admissionText(measured), options);
  }
  if (options.check) return guard(await compare({ ...options, peers: CHECKED.peers, cases: CHECKED.cases }), options);
  const report = await compare(options);
  say(markdown(report));
  keep(report, options);
  if (options.write) writeSection('results', markdown(report));
  return report.summaries.some((one) => one.errors > 0) ? 1 : 0;
};

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    note(`bench: ${error.message}`);
    process.exit(2);
  },
);
