/** `npm run bench -- --clients`: the ways to send a request onward, behind the same bare relay. */
import { CASES } from './cases.ts';
import type { Options } from './options.ts';
import { relay, relayOwn } from './peers/node.ts';
import { machineText, table } from './report.ts';
import { type Contender, createDriver, measure } from './rounds.ts';
import { setStage } from './stage.ts';
import type { Summary } from './stats.ts';
import { wireCheck } from './wire-check.ts';

const CASE_NAMES = ['http', 'https', 'https-100k'];

const LABELS: Readonly<Record<string, string>> = {
  relay: '`http.request` with a keep-alive agent',
  'relay-own': '`src/outbound`, our own writer and reader',
};

const cell = (summaries: readonly Summary[], caseName: string, peer: string): string => {
  const one = summaries.find((summary) => summary.caseName === caseName && summary.peer === peer);
  if (!one || one.rounds.length === 0) return one?.firstError ?? '-';
  const { median, low, high } = one.cpuUs;
  return `${median.toFixed(0)} (${low.toFixed(0)}-${high.toFixed(0)})`;
};

/** CPU of the whole relay a request, and what each way does to the header lines on the wire. */
export const compareClients = async (options: Options): Promise<string> => {
  const stage = await setStage([]);
  const contenders: Contender[] = [];
  const wire = new Map<string, string>();
  for (const peer of [relay, relayOwn]) {
    const started = await peer.start(stage);
    contenders.push({ name: peer.name, started, oneShot: false });
    wire.set(peer.name, await wireCheck(started.port));
  }
  const driver = createDriver(stage.origin, stage.originCa);
  const pace = {
    rounds: options.rounds,
    runMs: options.seconds * 1000,
    warmMs: options.quick ? 250 : 800,
    maxRequests: 500_000,
    until: Date.now() + (options.quick ? 100_000 : 20 * 60_000),
  };
  const cases = CASES.filter((one) => CASE_NAMES.includes(one.name));
  const summaries: Summary[] = [];
  for (const which of cases) summaries.push(...(await measure(driver, which, contenders, pace)));
  driver.stop();
  const rows = contenders.map(({ name }) => [
    LABELS[name] ?? name,
    ...cases.map((which) => cell(summaries, which.name, name)),
    wire.get(name) ?? '-',
  ]);
  const heads = ['behind the same bare relay', ...cases.map((which) => `${which.title}, us/request`)];
  return [
    `Measured on ${machineText()}, Node ${process.version}: median (lowest-highest) of ${pace.rounds} rounds of ${options.seconds} s.`,
    table([[...heads, 'header lines on the wire'], ...rows]),
  ].join('\n\n');
};
