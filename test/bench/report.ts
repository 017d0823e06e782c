/** Everything measured in one run, as tables for people: on the terminal and in docs/benchmarks.md. */
import { cpus } from 'node:os';
import { ADDED_LATENCY, type Case, GOALS } from './cases.ts';
import type { Spread, Summary } from './stats.ts';

export interface Presence {
  readonly name: string;
  readonly what: string;
  readonly version: string | undefined;
  /** Why it was not measured. */
  readonly absent: string | undefined;
}

export interface Report {
  readonly machine: string;
  readonly node: string;
  readonly date: string;
  /** Of the last minute before the run: what else the machine was doing. */
  readonly loadBefore: number;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly peers: readonly Presence[];
  readonly cases: readonly Case[];
  readonly summaries: readonly Summary[];
}

export const machineText = (): string => `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores`;

type Row = readonly string[];

/** A Markdown table, padded so that it also reads well on a terminal. First column to the left, the others to the right. */
export const table = (rows: readonly Row[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: Row): string =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (at === 0 ? `${'-'.repeat(width + 2)}` : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = rows;
  return [line(head), rule, ...body.map(line)].join('\n');
};

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const ranged = ({ median, low, high }: Spread): string => `${number(median)} (${number(low)}-${number(high)})`;
const ms = (value: number): string => value.toFixed(2);

/** CPU a request of `peer` over that of `beside`; `undefined` when one of them was not measured. */
export const ratioOf = (report: Report, caseName: string, peer: string, beside: string): number | undefined => {
  const of = (name: string) => report.summaries.find((one) => one.caseName === caseName && one.peer === name);
  const mine = of(peer);
  const other = of(beside);
  return mine?.rounds.length && other?.rounds.length ? mine.cpuUs.median / other.cpuUs.median : undefined;
};

const caseTable = (report: Report, which: Case): string => {
  const rows = report.summaries
    .filter((one) => one.caseName === which.name)
    .map((one) => [
      one.peer,
      ...(one.rounds.length === 0 || one.peer === 'direct'
        ? ['-', '-']
        : [ranged(one.cpuUs), ratioOf(report, which.name, one.peer, 'squid')?.toFixed(2) ?? '-']),
      ...(one.rounds.length === 0
        ? ['-', '-', '-']
        : [one.perSecond.median.toFixed(0), ms(one.p50Ms.median), ms(one.p99Ms.median)]),
      one.residentBytes === 0 ? '-' : (one.residentBytes / 1_048_576).toFixed(0),
      String(one.errors),
    ]);
  const absent = report.peers
    .filter((peer) => peer.absent !== undefined)
    .map((peer) => [peer.name, 'absent', '-', '-', '-', '-', '-', '-']);
  return table([
    ['peer', 'CPU us/request', 'x Squid', 'requests/s', 'p50 ms', 'p99 ms', 'RSS MB', 'errors'],
    ...rows,
    ...absent,
  ]);
};

const verdict = (value: number | undefined, atMost: number): string =>
  value === undefined ? 'not measured' : value <= atMost ? 'reached' : 'not reached';

const latencyRows = (report: Report): Row[] =>
  report.cases
    .filter((which) => which.unloaded)
    .map((which) => {
      const of = (name: string) => report.summaries.find((one) => one.caseName === which.name && one.peer === name);
      const [mine, direct] = [of(ADDED_LATENCY.peer), of('direct')];
      const limit = `${ADDED_LATENCY.p50Ms} / ${ADDED_LATENCY.p99Ms} ms`;
      const label = `${ADDED_LATENCY.peer}, ${which.title}: added p50 / p99`;
      if (!mine?.rounds.length || !direct?.rounds.length) return [label, limit, '-', 'not measured'];
      const p50 = mine.p50Ms.median - direct.p50Ms.median;
      const p99 = mine.p99Ms.median - direct.p99Ms.median;
      const fine = p50 <= ADDED_LATENCY.p50Ms && p99 <= ADDED_LATENCY.p99Ms;
      return [label, limit, `${ms(p50)} / ${ms(p99)} ms`, fine ? 'reached' : 'not reached'];
    });

const goalTable = (report: Report): string =>
  table([
    ['goal', 'at most', 'measured', ''],
    ...GOALS.filter((goal) => report.cases.some((one) => one.name === goal.caseName)).map((goal) => {
      const value = ratioOf(report, goal.caseName, goal.peer, goal.beside);
      const title = report.cases.find((one) => one.name === goal.caseName)?.title ?? goal.caseName;
      return [
        `${goal.peer}, ${title}: CPU`,
        `${goal.atMost.toFixed(2)} x Squid`,
        value === undefined ? '-' : `${value.toFixed(2)} x`,
        verdict(value, goal.atMost),
      ];
    }),
    ...latencyRows(report),
  ]);

const peerLines = (report: Report): string =>
  report.peers
    .map(
      (peer) =>
        `- **${peer.name}**${peer.version ? ` ${peer.version}` : ''}: ${peer.what}${peer.absent ? ` - **absent**: ${peer.absent}` : ''}`,
    )
    .join('\n');

/** Rounds that were left out because the time of the whole run was up. */
const missedLines = (report: Report): string =>
  report.summaries
    .filter((one) => one.firstError === undefined && one.rounds.length < report.rounds)
    .map((one) => `- ${one.peer}, ${one.caseName}: ${one.rounds.length} of ${report.rounds} rounds, the time was up`)
    .join('\n');

const besideLines = (report: Report): string =>
  report.summaries
    .filter((one) => one.besideUs.median > 0)
    .map((one) => `- ${one.peer}, ${one.caseName}: the server beside it took ${ranged(one.besideUs)} us a request`)
    .join('\n');

const failureLines = (report: Report): string =>
  report.summaries
    .filter((one) => one.firstError !== undefined)
    .map((one) => `- ${one.peer}, ${one.caseName}: ${one.errors} errors, the first: ${one.firstError}`)
    .join('\n');

/** The whole report as Markdown. */
export const markdown = (report: Report): string =>
  [
    `Measured ${report.date} on ${report.machine}, Node ${report.node}: median (lowest-highest) of ${report.rounds} rounds of ` +
      `${report.secondsPerRound} s. Load average before the run: ${report.loadBefore.toFixed(1)}.`,
    peerLines(report),
    ...report.cases.map((which) => `### ${which.title}\n\n${caseTable(report, which)}`),
    `### Goals\n\n${goalTable(report)}`,
    missedLines(report),
    besideLines(report),
    failureLines(report),
  ]
    .filter(Boolean)
    .join('\n\n');
