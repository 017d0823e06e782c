import { describe, expect, it } from 'vitest';
import { bothLedgers, makeMetrics } from '../../src/observe/metrics.ts';
import type { Ledger, Receipt } from '../../src/pipeline/ports.ts';

const receipt = (more: Partial<Receipt> = {}): Receipt => ({
  id: 'r',
  job: undefined,
  account: 'a',
  method: 'GET',
  website: 'shop.example',
  status: 200,
  outcome: 'ok',
  session: undefined,
  attempts: [],
  waitedMs: 0,
  tookMs: 20,
  bytes: 10,
  reason: undefined,
  ...more,
});

const attempt = (outcome: string, status: number | undefined) => ({
  exit: '192.0.2.1:1',
  upstream: 'u',
  outcome,
  status,
  tookMs: 5,
  reason: undefined,
});

const lineOf = async (metrics: { text(): Promise<string> }, start: string): Promise<string | undefined> =>
  (await metrics.text()).split('\n').find((line) => line.startsWith(start));

describe('metrics', () => {
  it('count requests by outcome, attempts by rule or failure, bans, bytes and times', async () => {
    const metrics = makeMetrics();
    metrics.ledger.finished(
      receipt({ attempts: [attempt('status-429', 429), attempt('econnreset', undefined), attempt('fine', 200)] }),
    );
    metrics.ledger.finished(receipt({ outcome: 'noslaves', status: 503, bytes: 0, tookMs: 2000 }));
    expect(await lineOf(metrics, 'crawlgate_requests_total{outcome="ok"}')).toMatch(/ 1$/);
    expect(await lineOf(metrics, 'crawlgate_requests_total{outcome="noslaves"}')).toMatch(/ 1$/);
    for (const outcome of ['status-429', 'econnreset', 'fine']) {
      expect(await lineOf(metrics, `crawlgate_attempts_total{outcome="${outcome}"}`)).toMatch(/ 1$/);
    }
    expect(await lineOf(metrics, 'crawlgate_bans_total')).toMatch(/ 1$/);
    expect(await lineOf(metrics, 'crawlgate_response_bytes_total')).toMatch(/ 10$/);
    expect(await lineOf(metrics, 'crawlgate_request_seconds_count')).toMatch(/ 2$/);
    expect(await lineOf(metrics, 'crawlgate_request_seconds_bucket{le="1"}')).toMatch(/ 1$/);
    expect(await lineOf(metrics, 'crawlgate_wait_seconds_count')).toMatch(/ 1$/);
  });

  it('keep the number of label values bounded', async () => {
    const metrics = makeMetrics();
    for (let i = 0; i < 700; i++) metrics.ledger.finished(receipt({ attempts: [attempt(`rule-${i}`, 403)] }));
    const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('crawlgate_attempts_total{'));
    expect(lines.length).toBe(501);
    expect(await lineOf(metrics, 'crawlgate_attempts_total{outcome="other"}')).toMatch(/ 200$/);
  });

  it('tell losses of the store once each, and whether it is there', async () => {
    const metrics = makeMetrics();
    expect(await lineOf(metrics, 'crawlgate_store_up')).toMatch(/ 1$/);
    metrics.storeTrouble(true);
    metrics.storeTrouble(true);
    expect(await lineOf(metrics, 'crawlgate_store_losses_total')).toMatch(/ 1$/);
    expect(await lineOf(metrics, 'crawlgate_store_up')).toMatch(/ 0$/);
    metrics.storeTrouble(false);
    expect(await lineOf(metrics, 'crawlgate_store_up')).toMatch(/ 1$/);
  });

  it('read the load when they are asked for, and count storms, downs and bugs', async () => {
    const metrics = makeMetrics();
    const load = { outstanding: 1, waiting: 0 };
    metrics.watch(() => load);
    load.outstanding = 7;
    load.waiting = 3;
    metrics.banStorm();
    metrics.upstreamDown();
    metrics.ledger.bug(new Error('x'), 'test');
    expect(await lineOf(metrics, 'crawlgate_outstanding')).toMatch(/ 7$/);
    expect(await lineOf(metrics, 'crawlgate_waiting')).toMatch(/ 3$/);
    for (const name of ['ban_storms', 'upstream_downs', 'bugs']) {
      expect(await lineOf(metrics, `crawlgate_${name}_total`)).toMatch(/ 1$/);
    }
  });

  it('stand beside another ledger that is told everything too', () => {
    const told: string[] = [];
    const ledger = (name: string): Ledger => ({
      finished: () => told.push(`${name} finished`),
      bug: () => told.push(`${name} bug`),
    });
    const both = bothLedgers(ledger('one'), ledger('two'));
    both.finished(receipt());
    both.bug(new Error('x'), 'test');
    expect(told).toEqual(['one finished', 'two finished', 'one bug', 'two bug']);
  });
});
