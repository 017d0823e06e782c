/** The guard against growing slower: CPU a request relative to the peer of the same run, beside the committed baseline. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Report, ratioOf, table } from './report.ts';

const FILE = join(import.meta.dirname, 'baseline.json');
const PEER = 'crawlgate';
const BESIDE = 'squid';
/** Beyond this much more than the baseline it has grown slower. */
const TOLERANCE = 0.15;

/** What is measured for the guard. */
export const CHECKED = { peers: [BESIDE, PEER], cases: ['http', 'https', 'https-100k', 'https-new'] } as const;

/** CPU of this project over Squid's, by case. */
export type Baseline = Readonly<Record<string, number>>;

export interface Checked {
  readonly text: string;
  readonly fine: boolean;
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

const readBaseline = (): Baseline => JSON.parse(readFileSync(FILE, 'utf8')) as Baseline;

/** A case that was not measured is not fine either: nothing would be guarded. */
export const judge = (measured: Readonly<Record<string, number | undefined>>, baseline: Baseline): Checked => {
  let fine = true;
  const rows = Object.entries(baseline).map(([name, before]) => {
    const now = measured[name];
    const good = now !== undefined && now <= before * (1 + TOLERANCE);
    fine &&= good;
    const change = now === undefined ? '-' : `${((now / before - 1) * 100).toFixed(1)} %`;
    return [
      name,
      `${before.toFixed(2)} x`,
      now === undefined ? '-' : `${now.toFixed(2)} x`,
      change,
      good ? 'fine' : 'SLOWER',
    ];
  });
  const limit = `More than ${TOLERANCE * 100} % above the baseline is slower.`;
  return {
    text: `${table([['CPU a request beside Squid', 'baseline', 'now', 'change', ''], ...rows])}\n\n${limit}`,
    fine,
  };
};

const ratios = (report: Report): Record<string, number | undefined> =>
  Object.fromEntries(CHECKED.cases.map((name) => [name, ratioOf(report, name, PEER, BESIDE)]));

export const checkReport = (report: Report): Checked => judge(ratios(report), readBaseline());

/** Takes what was measured as the baseline from now on. Throws when a case is missing. */
export const writeBaseline = (report: Report): string => {
  const measured = ratios(report);
  const missing = CHECKED.cases.filter((name) => measured[name] === undefined);
  if (missing.length > 0) throw new Error(`not measured: ${missing.join(', ')}`);
  const baseline = Object.fromEntries(CHECKED.cases.map((name) => [name, rounded(measured[name] as number)]));
  writeFileSync(FILE, `${JSON.stringify(baseline, undefined, 2)}\n`);
  return JSON.stringify(baseline);
};
