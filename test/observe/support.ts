/** Receipts to log, and a log that writes to a file of its own. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Job } from '../../src/model/job.ts';
import { type Log, type LogOptions, openLog } from '../../src/observe/log.ts';
import type { AttemptRecord, Receipt } from '../../src/pipeline/ports.ts';

const folder = mkdtempSync(join(tmpdir(), 'crawlgate-log-'));
const logs: { log: Log; to: number }[] = [];
afterAll(() => {
  for (const { log, to } of logs) {
    log.close();
    closeSync(to);
  }
  rmSync(folder, { recursive: true, force: true });
});

export const logToFile = (options: Partial<LogOptions> = {}) => {
  const file = join(folder, `${logs.length}.log`);
  const to = openSync(file, 'a');
  const log = openLog({ level: 'info', pretty: false, to, ...options });
  logs.push({ log, to });
  const text = (): string => {
    log.flush();
    return readFileSync(file, 'utf8');
  };
  const lines = (): Record<string, unknown>[] =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, text, lines };
};

export const attempt = (over: Partial<AttemptRecord> = {}): AttemptRecord => ({
  exit: '192.0.2.1:3128',
  upstream: '81230d848fc624495a07',
  outcome: 'fine',
  status: 200,
  tookMs: 123.456,
  reason: undefined,
  ...over,
});

/** A job as far as the log reads it. */
const jobWith = (jobId: string | undefined, client: string | undefined): Job =>
  ({ path: '/private?token=canary', headers: ['Cookie', 'canary'], controls: { jobId, client } }) as unknown as Job;

export const receipt = (
  over: Partial<Receipt> = {},
  jobId = '12/3/4',
  client = 'scrapy-zyte-smartproxy/2.4.1',
): Receipt => ({
  id: 'a1b2c3',
  job: jobWith(jobId, client),
  account: 'demo',
  method: 'GET',
  website: 'shop.example',
  status: 200,
  outcome: 'ok',
  session: '123456',
  attempts: [attempt()],
  waitedMs: 12.3456,
  tookMs: 150.98765,
  bytes: 12_345,
  reason: undefined,
  ...over,
});
