import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeLogLedger } from '../../src/observe/ledger.ts';
import { until } from '../support/sockets.ts';
import { attempt, logToFile, receipt } from './support.ts';

describe('the line of a finished request', () => {
  it('H-18 H-26 holds what an operator needs, and no path, query or header', () => {
    const { log, lines, text } = logToFile();
    makeLogLedger(log).finished(receipt());
    const [line] = lines();
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      pid: process.pid,
      msg: 'request',
      request: 'a1b2c3',
      job: '12/3/4',
      account: 'demo',
      method: 'GET',
      website: 'shop.example',
      status: 200,
      outcome: 'ok',
      session: '123456',
      exit: '192.0.2.1:3128',
      upstream: '81230d848fc624495a07',
      attempts: 1,
      waitedMs: 12.3,
      tookMs: 151,
      bytes: 12_345,
      client: 'scrapy-zyte-smartproxy/2.4.1',
    });
    expect(text()).not.toContain('canary');
  });

  it('sums up the attempts once there was more than a good one', () => {
    const { log, lines } = logToFile();
    const reason = 'connect to http://user:canary@192.0.2.1:3128 failed';
    const attempts = [
      attempt({ outcome: 'econnrefused', status: undefined, reason }),
      attempt({ exit: '192.0.2.2:1' }),
    ];
    makeLogLedger(log).finished(receipt({ attempts }));
    expect(lines()[0]).toMatchObject({
      attempts: 2,
      exit: '192.0.2.2:1',
      tries:
        '192.0.2.1:3128 econnrefused - 123ms (connect to http://***@192.0.2.1:3128 failed); 192.0.2.2:1 fine 200 123ms',
    });
  });

  it('is written for a refusal without job, account and attempts too', () => {
    const { log, lines } = logToFile();
    const refused = { job: undefined, account: undefined, website: undefined, session: undefined, attempts: [] };
    makeLogLedger(log).finished(receipt({ ...refused, status: 407, outcome: 'bad_auth', reason: 'unknown key' }));
    expect(lines()[0]).toMatchObject({ status: 407, outcome: 'bad_auth', attempts: 0, reason: 'unknown key' });
    expect(lines()[0]).not.toHaveProperty('account');
  });

  it('robustness B02 cannot be forged, whatever a client sends', async () => {
    const { log, lines, text } = logToFile();
    const ledger = makeLogLedger(log);
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('x\n{"level":"info"}', '\u009b2J', 'a\u2028b', '"}'),
    );
    let written = 0;
    fc.assert(
      fc.property(nasty, nasty, nasty, (job, client, session) => {
        ledger.finished(receipt({ session, method: job, website: client, reason: session }, job, client));
        written++;
      }),
    );
    // A batch may still be on its way to the file.
    await until(() => text().split('\n').length > written, 'all lines');
    const all = lines();
    expect(all).toHaveLength(written);
    for (const line of all) {
      expect(line['request']).toBe('a1b2c3');
      expect(`${line['job']}${line['client']}${line['session']}${line['method']}`).not.toMatch(/[\p{Cc}\u2028]/u);
    }
  });

  it('is not written above level info', () => {
    const { log, lines } = logToFile({ level: 'warn' });
    makeLogLedger(log).finished(receipt());
    expect(lines()).toEqual([]);
  });

  it('costs less than 50 us even on a busy machine', () => {
    const { log } = logToFile();
    const ledger = makeLogLedger(log);
    const one = receipt();
    const startedAt = process.cpuUsage();
    for (let i = 0; i < 5000; i++) ledger.finished(one);
    const { user, system } = process.cpuUsage(startedAt);
    expect((user + system) / 5000).toBeLessThan(50);
  });
});

describe('a bug', () => {
  it('robustness C11 is logged with stack and causes, without secrets and other fields of the error', () => {
    const { log, lines, text } = logToFile();
    const cause = Object.assign(new TypeError('Proxy-Authorization: Basic Y2FuYXJ5OmNhbmFyeQ=='), {
      input: 'http://u:canary@h',
    });
    makeLogLedger(log).bug(new Error('fetching http://u:can@ary-canary@h/p?key=canary', { cause }), 'exchange');
    const [line] = lines();
    expect(line).toMatchObject({ level: 'error', msg: 'bug', where: 'exchange' });
    expect(line?.['error']).toMatchObject({
      type: 'Error',
      message: 'fetching http://***@h/p?***',
      stack: expect.stringContaining('ledger.test.ts'),
      cause: { type: 'TypeError', message: 'Proxy-Authorization: ***' },
    });
    expect(text()).not.toMatch(/canary|Y2FuYXJ5/);
  });

  it('may be anything that was thrown', () => {
    const { log, lines } = logToFile();
    const ledger = makeLogLedger(log);
    for (const thrown of ['text', undefined, null, 5, { toString: () => 'object' }, Object.create(null)])
      ledger.bug(thrown, 'x');
    expect(lines().map((line) => (line['error'] as { message: string }).message)).toHaveLength(6);
  });
});
