/** Many requests at once to a target that does everything wrong: each ends, and nothing stays behind. */
import { expect, it } from 'vitest';
import { Fault, Gone } from '../../src/model/errors.ts';
import type { Transport } from '../../src/pipeline/ports.ts';
import { type Act, type Origin, reply } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { optionsFor, readBody, requestTo, stopButton, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const SCRIPTS: readonly (readonly Act[])[] = [
  [reply('fine')],
  [{ trickle: reply('slowly', 'X: y\r\n') }],
  ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'close'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', 'reset'],
  ['close'],
  ['reset'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nrubbish'],
  ['HTTP/1.1 200 OK\nContent-Length: 1\n\nx', 'hang'],
  ['hang'],
  [reply('bye', 'Connection: close\r\n'), 'close'],
];

/** `fine`, a fault's condition, or `gone`; anything else fails the test. */
const once = async (out: Transport, site: Origin, index: number): Promise<string> => {
  const button = stopButton();
  const request = requestTo(targetOf('http', '127.0.0.1', site.port));
  const options = optionsFor({ owner: `o${index % 7}`, headMs: 80, chunkMs: 80 });
  if (index % 11 === 0) setImmediate(() => button.press(new Gone()));
  try {
    const { body } = await out.attempt(request, options, button);
    if (index % 13 === 0) {
      body.abort();
      return 'aborted';
    }
    await readBody(body);
    return 'fine';
  } catch (error) {
    if (error instanceof Fault) return error.condition;
    if (error instanceof Gone) return 'gone';
    throw error;
  }
};

it('robustness G09: every one of 600 requests ends and no socket or warning is left', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', warned);
  const site = await kit.origin();
  const out = kit.transport();
  const outcomes = new Set<string>();
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 30; i++) site.enqueue(...(SCRIPTS[(round * 3 + i) % SCRIPTS.length] ?? []));
    const ended = await Promise.all(Array.from({ length: 30 }, (_, i) => once(out, site, round * 30 + i)));
    for (const outcome of ended) outcomes.add(outcome);
  }
  await out.close();
  await until(() => site.open.size === 0, 'no socket left');
  process.off('warning', warned);
  expect(warnings).toEqual([]);
  for (const outcome of ['fine', 'gone', 'timeout', 'send_failed', 'econnreset', 'socket_closed_remotely']) {
    expect(outcomes).toContain(outcome);
  }
});
