/** Chunked request bodies as they come from a pipe: several chunks in one packet, more than the target takes at once. */
import { expect, it } from 'vitest';
import { headFor, makeLines, makeStage } from './transport-kit.ts';

const stage = makeStage({ yaml: () => 'pacing: { siteDelay: 0ms, slaveDelay: 0ms }' });
const line = makeLines();

const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;

const HEADERS = 'Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n';

it.each([
  ['a large chunk and a small one', [40_000, 10]],
  ['a small chunk, a large one and a small one', [10, 40_000, 10]],
  ['three large ones', [20_000, 20_000, 20_000]],
])('T-16 A12 a body whose packet has %s goes on after a pause of the target', async (_name, sizes) => {
  const client = await line(stage.proxy.port);
  client.write(headFor(stage, '/', HEADERS, 'PUT'));
  expect((await client.read()).status).toBe(100);
  for (let packet = 0; packet < 8; packet++) client.write(sizes.map(chunk).join(''));
  client.write('0\r\n\r\n');
  expect((await client.read()).status).toBe(200);
  expect(stage.origin.requests.at(-1)?.body.length).toBe(8 * sizes.reduce((sum, size) => sum + size, 0));
});
