/** What the ban rules cost a response that is none, judged alone and with everything around it: `npm run bench -- --bans`. */
import { gzipSync } from 'node:zlib';
import { loadRules } from '../../src/config/rules.ts';
import { peek } from '../../src/pipeline/peek.ts';
import type { BodySink, BodySource, InboundResponse } from '../../src/pipeline/ports.ts';
import { makeStop } from '../../src/pipeline/stop.ts';
import { compileRules, isOpen } from '../../src/policy/ban.ts';
import { askedFor } from '../../src/policy/ban-sample.ts';
import { realClock } from '../../src/store/clock.ts';
import { CASES as LOADS } from './cases.ts';
import { crawlgateAt } from './peers/crawlgate.ts';
import { table } from './report.ts';
import { type Contender, createDriver, measure } from './rounds.ts';
import { setStage } from './stage.ts';
import type { Summary } from './stats.ts';

const loaded = loadRules(undefined);
if (!loaded.rules) throw new Error(loaded.errors.join('\n'));
const rules = compileRules(loaded.rules);

const line = '<p class="text">The quick brown fox reads an article.</p><a href="/item/1">more</a>\n';
const pageOf = (bytes: number): Buffer => Buffer.from(`<title>Shoes</title>${line.repeat(1_000)}`.slice(0, bytes));

/** A body that is here as a whole. */
const bodyOf = (bytes: Buffer): BodySource => ({
  start(sink) {
    sink.write(bytes);
    sink.end();
  },
  resume: () => undefined,
  abort: () => undefined,
});

const NOWHERE: BodySink = { write: () => true, end: () => undefined, fail: () => undefined };

const responseOf = (type: string, bytes: Buffer, more: readonly string[] = []): InboundResponse => ({
  status: 200,
  reason: 'OK',
  headers: [
    ...['Date', 'Thu, 01 Jan 2026 00:00:00 GMT', 'Server', 'nginx', 'Content-Type', type],
    ...['Content-Length', String(bytes.length), 'Cache-Control', 'no-cache', 'Vary', 'Accept-Encoding'],
    ...['ETag', '"0"', 'X-Frame-Options', 'DENY', 'Set-Cookie', 'sid=1; Path=/', 'Connection', 'keep-alive', ...more],
  ],
  length: bytes.length,
  body: bodyOf(bytes),
  requestMs: 1,
  exit: '192.0.2.1:3128',
  reused: true,
});

const asked = askedFor('https://www.shop.example/item/1');
const stop = makeStop();

const deliver = (response: InboundResponse): void => response.body.start(NOWHERE);

/** As an attempt does it. */
const check = (response: InboundResponse): void => {
  const found = rules.judge(asked, response);
  if (!isOpen(found)) {
    deliver(response);
    return;
  }
  const peeked = peek(response.body, found, realClock, stop);
  if (peeked instanceof Promise) throw new Error('the body is here');
  if (found.judge(peeked.start).ban) throw new Error('this is no ban');
  deliver({ ...response, body: peeked.body });
};

const microseconds = (run: (response: InboundResponse) => void, response: InboundResponse): number => {
  const once = (rounds: number): number => {
    const before = process.cpuUsage();
    for (let i = 0; i < rounds; i++) run(response);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / rounds;
  };
  once(20_000);
  return Math.min(once(20_000), once(20_000), once(20_000));
};

const CASES: readonly (readonly [name: string, response: InboundResponse])[] = [
  ['a picture', responseOf('image/png', pageOf(1024))],
  ['JSON, 1 KiB', responseOf('application/json', pageOf(1024))],
  ['HTML, 1 KiB', responseOf('text/html; charset=utf-8', pageOf(1024))],
  ['HTML, 10 KiB', responseOf('text/html', pageOf(10_240))],
  ['HTML, 100 KiB', responseOf('text/html', pageOf(80_000))],
  ['HTML, 10 KiB in gzip', responseOf('text/html', gzipSync(pageOf(10_240)), ['Content-Encoding', 'gzip'])],
];

const MIB = 1_048_576;
const PIECE = 16_384;

/** How much of a 1 MiB page of unknown length had come when its first byte could go out. */
const heldBytes = async (): Promise<number> => {
  const page = pageOf(PIECE);
  let sink: BodySink | undefined;
  const body: BodySource = {
    start(taker) {
      sink = taker;
    },
    resume: () => undefined,
    abort: () => undefined,
  };
  const response: InboundResponse = { ...responseOf('text/html', page), length: undefined, body };
  const found = rules.judge(asked, response);
  if (!isOpen(found)) return 0;
  let released = false;
  const peeked = Promise.resolve(peek(body, found, realClock, stop)).then(() => {
    released = true;
  });
  let came = 0;
  while (!released && came < MIB) {
    sink?.write(page);
    came += page.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await peeked;
  return came;
};

/** At most so many microseconds more for a good 200 HTML page of 1 KiB. */
const GOAL_US = 5;
const PACE = { rounds: 11, runMs: 1_000, warmMs: 800, maxRequests: 500_000, until: Number.MAX_VALUE };

const UNCHECKED = 'without (`X-Crawlera-No-Bancheck`)';

/** The same load on one running proxy over real sockets, with the check and without. */
const throughProxy = async (): Promise<string> => {
  const stage = await setStage([]);
  const started = await crawlgateAt({}).start(stage);
  const contenders: Contender[] = [
    { name: 'with the check', started, oneShot: false },
    { name: UNCHECKED, started, oneShot: false, more: 'X-Crawlera-No-Bancheck: 1\r\n' },
  ];
  const driver = createDriver(stage.origin, stage.originCa);
  const rows: string[][] = [];
  for (const load of LOADS.filter(({ name }) => name === 'http' || name === 'https')) {
    const [checked, unchecked] = (await measure(driver, load, contenders, PACE)) as [Summary, Summary];
    const extra = checked.cpuUs.median - unchecked.cpuUs.median;
    const us = ({ cpuUs }: Summary): string => cpuUs.median.toFixed(1);
    const verdict = extra <= GOAL_US ? 'reached' : 'not reached';
    rows.push([load.title, us(checked), us(unchecked), extra.toFixed(1), `${GOAL_US}.0`, verdict]);
  }
  driver.stop();
  await started.running.stop(5_000);
  const heads = ['HTML page, through the whole proxy', 'with, us', 'without, us', 'extra us', 'at most', ''];
  return `${table([heads, ...rows])}\n\nMedians of ${PACE.rounds} alternating rounds of 1 s on one process; without = ${UNCHECKED.slice(9, -1)}.`;
};

/** Markdown tables of CPU over the same response without a ban check, and one line on waiting. */
export const measureBans = async (): Promise<string> => {
  const rows = CASES.map(([name, response]) => {
    const cost = microseconds(check, response) - microseconds(deliver, response);
    return [name, cost.toFixed(2)];
  });
  const alone = table([['good 200 response, judging alone', 'extra us'], ...rows]);
  const held = await heldBytes();
  const flow = `A 1 MiB HTML page of unknown length begins to flow when ${held / 1024} KiB of it have come.`;
  return [await throughProxy(), alone, flow].join('\n\n');
};
