/** Direct exits: what goes out, what comes back, and what is kept open. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Transport } from '../../src/pipeline/ports.ts';
import { makeOrigin, type Origin, reply } from '../support/origin.ts';
import { directExit } from '../support/upstream.ts';
import { fetchText, keptBody, optionsFor, requestTo, targetOf, testTransport } from './harness.ts';

const closers: (() => Promise<void>)[] = [];
const origin = async (...args: Parameters<typeof makeOrigin>): Promise<Origin> => {
  const made = await makeOrigin(...args);
  closers.push(made.close);
  return made;
};
const transport = (...args: Parameters<typeof testTransport>): Transport => {
  const made = testTransport(...args);
  closers.push(() => made.close());
  return made;
};
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('a direct exit', () => {
  it('F-04 puts header lines on the wire exactly as given, in order, case and repetition', async () => {
    const site = await origin();
    const headers = ['hOST', 'x', 'X-b', '1', 'x-A', '', 'X-b', '2', 'Cookie', 'ä=ö'];
    await fetchText(
      transport(),
      requestTo(targetOf('http', 'shop.localhost', site.port), { headers, path: '/a?b=%20' }),
    );
    expect(site.received()).toBe(
      'GET /a?b=%20 HTTP/1.1\r\nhOST: x\r\nX-b: 1\r\nx-A: \r\nX-b: 2\r\nCookie: ä=ö\r\n\r\n',
    );
  });

  it('R-02 shows the local address and port 0, and reuses its connection', async () => {
    const site = await origin();
    const out = transport();
    const target = targetOf('http', '127.0.0.1', site.port);
    const first = await fetchText(out, requestTo(target));
    const second = await fetchText(out, requestTo(target, { method: 'POST', body: keptBody('abc') }));
    expect([first.response.exit, first.text, first.response.reused]).toEqual(['127.0.0.1:0', 'hello', false]);
    expect(second.response.reused).toBe(true);
    expect(site.requests.map(({ connection, body }) => [connection, body])).toEqual([
      [1, ''],
      [1, 'abc'],
    ]);
    expect(site.requests[1]?.head).toContain('\r\nContent-Length: 3\r\n\r\n');
  });

  it('sends from the source address it was given', async () => {
    const site = await origin();
    const options = optionsFor({ upstream: directExit('127.0.0.2') });
    const { response } = await fetchText(transport(), requestTo(targetOf('http', '127.0.0.1', site.port)), options);
    expect(response.exit).toBe('127.0.0.2:0');
    expect(site.requests[0]?.from).toBe('127.0.0.2');
  });

  it('passes a chunked body of unknown length both ways', async () => {
    const site = await origin();
    site.enqueue('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: r\r\n\r\n');
    const request = requestTo(targetOf('http', '127.0.0.1', site.port), {
      method: 'POST',
      body: { ...keptBody('streamed'), length: undefined },
    });
    const { text, response } = await fetchText(transport(), request);
    expect([text, response.length]).toEqual(['abcdefg', undefined]);
    expect(site.requests[0]?.body).toBe('streamed');
    expect(reply('x')).toContain('Content-Length: 1');
  });
});
