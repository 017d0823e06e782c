/** Direct exits: what goes out, what comes back, and what is kept open. */
import { describe, expect, it } from 'vitest';
import { directExit } from '../support/upstream.ts';
import { faultOf, fetchText, keptBody, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

describe('a direct exit', () => {
  it('F-04 puts header lines on the wire exactly as given, in order, case and repetition', async () => {
    const site = await kit.origin();
    const headers = ['hOST', 'x', 'X-b', '1', 'x-A', '', 'X-b', '2', 'Cookie', 'ä=ö'];
    const target = targetOf('http', 'shop.localhost', site.port);
    await fetchText(kit.transport(), requestTo(target, { headers, path: '/a?b=%20' }));
    expect(site.received()).toBe(
      'GET /a?b=%20 HTTP/1.1\r\nhOST: x\r\nX-b: 1\r\nx-A: \r\nX-b: 2\r\nCookie: ä=ö\r\n\r\n',
    );
  });

  it('R-02 shows the local address and port 0, and reuses its connection', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    const target = targetOf('http', '127.0.0.1', site.port);
    const first = await fetchText(out, requestTo(target));
    const second = await fetchText(out, requestTo(target));
    await fetchText(out, requestTo(target, { method: 'POST', body: keptBody('abc') }));
    expect([first.response.exit, first.text, first.response.reused]).toEqual(['127.0.0.1:0', 'hello', false]);
    expect(second.response.reused).toBe(true);
    expect(site.requests.map(({ connection, body }) => [connection, body])).toEqual([
      [1, ''],
      [1, ''],
      [1, 'abc'],
    ]);
    expect(site.requests[2]?.head).toContain('\r\nContent-Length: 3\r\n\r\n');
  });

  it('sends from the source address it was given', async () => {
    const site = await kit.origin();
    const options = optionsFor({ upstream: directExit('127.0.0.2') });
    const { response } = await fetchText(kit.transport(), requestTo(targetOf('http', '127.0.0.1', site.port)), options);
    expect(response.exit).toBe('127.0.0.2:0');
    expect(site.requests[0]?.from).toBe('127.0.0.2');
  });

  it('passes a chunked body of unknown length both ways', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: r\r\n\r\n');
    const request = requestTo(targetOf('http', '127.0.0.1', site.port), {
      method: 'POST',
      body: { ...keptBody('streamed'), length: undefined },
    });
    const { text, response } = await fetchText(kit.transport(), request);
    expect([text, response.length]).toEqual(['abcdefg', undefined]);
    expect(site.requests[0]?.body).toBe('streamed');
  });

  it('F-04 leaves the framing line where the client had it', async () => {
    const site = await kit.origin();
    const headers = ['content-length', '4', 'Host', 'x'];
    const target = targetOf('http', '127.0.0.1', site.port);
    const request = requestTo(target, { method: 'POST', headers, framed: true, body: keptBody('sent') });
    await fetchText(kit.transport(), request);
    expect(site.received()).toBe('POST / HTTP/1.1\r\ncontent-length: 4\r\nHost: x\r\n\r\nsent');
  });

  it.each([
    { headers: ['Host', 'x\r\nEvil: 1'] },
    { headers: ['Host', 'x\nEvil: 1'] },
    { headers: ['Host\r\nEvil', 'x'] },
    { headers: ['Host', 'x\0'] },
    { headers: ['Host', '\u{20ac}'] },
    { path: '/ HTTP/1.1\r\nEvil: 1\r\nX:' },
    { path: '/a b' },
    { method: 'GET /x' },
  ])('robustness B01 never writes a head that could be read as two: %j', async (more) => {
    const site = await kit.origin();
    const request = requestTo(targetOf('http', '127.0.0.1', site.port), more);
    expect(await faultOf(fetchText(kit.transport(), request))).toMatchObject({
      condition: 'invalid_request',
      sent: 'nothing',
    });
    expect(site.accepted()).toBe(0);
  });

  it('T-13 announces an empty body for a POST without one, and nothing for a GET', async () => {
    const site = await kit.origin();
    const target = targetOf('http', '127.0.0.1', site.port);
    const out = kit.transport();
    await fetchText(out, requestTo(target, { method: 'POST' }));
    await fetchText(out, requestTo(target));
    expect(site.requests[0]?.head).toContain('\r\nContent-Length: 0\r\n\r\n');
    expect(site.requests[1]?.head).not.toContain('Content-Length');
  });
});
