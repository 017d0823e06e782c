/** What admission costs, as a table for people and as figures for programs. */
import { table } from './report.ts';
import type { Spread } from './stats.ts';

/** Goal: so much more at the large size than at the small one, at most. */
const GOAL = { times: 2, small: [10, 1], large: [10_000, 1_000] } as const;

export interface AdmissionFigure {
  readonly store: 'memory' | 'Redis';
  readonly upstreams: number;
  readonly websites: number;
  /** Microseconds of CPU a request let in and out, of the process with the store. */
  readonly own: Spread;
  /** The same of Redis; 0 for memory. */
  readonly beside: Spread;
  /** Both. */
  readonly whole: Spread;
  readonly rounds: number;
}

export interface AdmissionReport {
  readonly date: string;
  readonly machine: string;
  readonly node: string;
  readonly loadBefore: number;
  readonly runMs: number;
  /** Why Redis was not measured. */
  readonly redisAbsent: string | undefined;
  readonly figures: readonly AdmissionFigure[];
}

const ranged = ({ median, low, high }: Spread): string => `${median.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)})`;

const count = (value: number): string => value.toLocaleString('en');

const storeTable = (figures: readonly AdmissionFigure[]): string => {
  const hasBeside = figures.some(({ store }) => store === 'Redis');
  return table([
    ['upstreams x websites', hasBeside ? 'crawlgate us' : 'us', ...(hasBeside ? ['Redis us', 'both us'] : [])],
    ...figures.map(({ upstreams, websites, own, beside, whole }) => [
      `${count(upstreams)} x ${count(websites)}`,
      ranged(own),
      ...(hasBeside ? [ranged(beside), ranged(whole)] : []),
    ]),
  ]);
};

const goalRow = (store: AdmissionFigure['store'], figures: readonly AdmissionFigure[]): string[] => {
  const at = ([upstreams, websites]: readonly [number, number]): number | undefined =>
    figures.find((one) => one.store === store && one.upstreams === upstreams && one.websites === websites)?.whole
      .median;
  const [small, large] = [at(GOAL.small), at(GOAL.large)];
  const name = `${store}: 10,000 upstreams and 1,000 websites beside 10 and 1`;
  const goal = `under ${GOAL.times} x`;
  if (!small || !large) return [name, goal, '-', 'not measured'];
  const times = large / small;
  return [name, goal, `${times.toFixed(2)} x`, times < GOAL.times ? 'reached' : 'not reached'];
};

/** The whole report as Markdown. */
export const admissionText = (report: AdmissionReport): string => {
  const { figures, redisAbsent } = report;
  const of = (store: AdmissionFigure['store']): AdmissionFigure[] => figures.filter((one) => one.store === store);
  const rounds = figures.map((one) => one.rounds);
  const [least, most] = [Math.min(...rounds), Math.max(...rounds)];
  return [
    `Measured ${report.date} on ${report.machine}, Node ${report.node}: CPU of one request let in and out, median (lowest-highest) of ` +
      `${least === most ? most : `${least} to ${most}`} rounds of ${report.runMs} ms. Load average before the run: ${report.loadBefore.toFixed(1)}.`,
    '### Memory store',
    storeTable(of('memory')),
    '### Redis store, 32 requests under way',
    redisAbsent === undefined ? storeTable(of('Redis')) : `Absent: ${redisAbsent}.`,
    '### Goal of admission',
    table([['CPU', 'goal', 'measured', ''], goalRow('memory', figures), goalRow('Redis', figures)]),
  ].join('\n\n');
};
