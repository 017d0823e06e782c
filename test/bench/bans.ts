/** What the ban rules cost a response that is none, in microseconds of CPU: `npx tsx test/bench/bans.ts`. */
import { gzipSync } from 'node:zlib';
import { loadRules } from '../../src/config/rules.ts';
import { peek } from '../../src/pipeline/peek.ts';
import type { BodySink, BodySource, InboundResponse } from '../../src/pipeline/ports.ts';
import { makeStop } from '../../src/pipeline/stop.ts';
import { compileRules, isOpen } from '../../src/policy/ban.ts';
import { askedFor } from '../../src/policy/ban-sample.ts';
import { realClock } from '../../src/store/clock.ts';

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

for (const [name, response] of CASES) {
  const cost = microseconds(check, response) - microseconds(deliver, response);
  process.stdout.write(`${name.padEnd(24)} ${cost.toFixed(2)} us\n`);
}
