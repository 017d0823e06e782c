/** `Expect: 100-continue` is answered here, once, when the body is wanted and only then (T-17, robustness A13). */
import { describe, expect, it } from 'vitest';
import { AUTH, type Line, openTunnel } from '../support/client.ts';
import { makeOrigin, reply } from '../support/origin.ts';
import { freeLoopbackPort, gate, headFor, makeLines, makeStage } from './transport-kit.ts';

const stage = makeStage({ yaml: () => 'pacing: { siteDelay: 0ms, slaveDelay: 0ms }\nlimits: { retries: 2 }' });
const line = makeLines();

const EXPECT = 'Expect: 100-continue\r\nContent-Length: 5\r\n';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** Sends the body once it is asked for, as curl does. */
const obedient = async (client: Line, body = 'hello'): Promise<void> => {
  expect((await client.read()).raw).toBe(CONTINUE);
  client.write(body);
};

describe('Expect: 100-continue', () => {
  it('T-17 is answered here and not forwarded', async () => {
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', EXPECT, 'POST'));
    await obedient(client);
    expect((await client.read()).status).toBe(200);
    expect(stage.origin.requests[0]?.head).not.toMatch(/expect/i);
    expect(stage.origin.requests[0]?.body).toBe('hello');
    expect((await client.ask(headFor(stage))).status).toBe(200);
  });

  it('T-17 is answered in a tunnel as well', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    inside.write(`PUT /x HTTP/1.1\r\nHost: ${stage.authority}\r\n${EXPECT}\r\n`);
    await obedient(inside);
    expect((await inside.read()).status).toBe(200);
    inside.socket.destroy();
  });

  it('robustness A13 works with a target that takes its time', async () => {
    const answered = gate();
    stage.origin.enqueue({ until: answered.passed }, reply('slow'));
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', EXPECT, 'POST'));
    await obedient(client);
    answered.open();
    expect((await client.read()).body).toBe('slow');
    expect(client.rest()).toBe('');
  });

  it('robustness A13 gives no second 100 when the target sends its own', async () => {
    stage.origin.enqueue(CONTINUE, CONTINUE, reply('done'));
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', EXPECT, 'POST'));
    await obedient(client);
    expect((await client.read()).body).toBe('done');
  });

  it('robustness A13 gives no second 100 when the request is tried again', async () => {
    stage.origin.enqueue('reset');
    stage.origin.enqueue('reset');
    const client = await line(stage.proxy.port);
    client.write(headFor(stage, '/', EXPECT, 'PUT'));
    await obedient(client);
    expect((await client.read()).body).toBe('hello');
    expect(stage.origin.requests.map(({ body }) => body)).toEqual(['hello', 'hello', 'hello']);
  });

  it('robustness A13 hands the refusal of a target on that does not read the body', async () => {
    const origin = await makeOrigin({ early: true });
    origin.fallback = ['HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno', 'close'];
    const client = await line(stage.proxy.port);
    const url = `http://shop.localhost:${origin.port}/`;
    client.write(`POST ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}Expect: 100-continue\r\nContent-Length: 900000\r\n\r\n`);
    await obedient(client, 'x'.repeat(100));
    const answer = await client.read();
    expect([answer.status, answer.body, answer.header('Connection')]).toEqual([413, 'no', 'close']);
    client.socket.end();
    await client.closed;
    await origin.close();
  });

  it.each([
    ['without a key', () => `POST ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${EXPECT}\r\n`, 407],
    ['to a forbidden place', () => headFor(stage, '/', EXPECT, 'POST').replaceAll('shop.localhost', '10.0.0.1'), 523],
    ['with a bad control header', () => headFor(stage, '/', `X-Crawlera-UA: x\r\n${EXPECT}`, 'POST'), 540],
    ['to an endpoint', () => `POST /nothing HTTP/1.1\r\nHost: x\r\n${AUTH}${EXPECT}\r\n`, 404],
    ['with two Hosts', () => headFor(stage, '/', `Host: y\r\n${EXPECT}`, 'POST'), 400],
  ])('robustness A13 never asks for the body of a request %s', async (_which, text, status) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(text());
    expect([answer.status, answer.header('Connection')]).toEqual([status, 'close']);
    // Whether such a client sends its body now is its own affair: neither way is it read as a request.
    client.write('GET http://x/ HTTP/1.1\r\n\r\n');
    client.socket.end();
    await client.closed;
    expect(client.rest()).toBe('');
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('robustness A13 never asks for the body of a request whose target refuses the connection', async () => {
    const client = await line(stage.proxy.port);
    const url = `http://127.0.0.1:${await freeLoopbackPort()}/`;
    const answer = await client.ask(`POST ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}${EXPECT}\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([502, 'econnrefused']);
  });

  it('T-17 is not answered for HTTP/1.0, which knows no interim answers', async () => {
    const client = await line(stage.proxy.port);
    const text = headFor(stage, '/', EXPECT, 'POST').replace('HTTP/1.1', 'HTTP/1.0');
    expect((await client.ask(`${text}hello`)).status).toBe(200);
    expect(stage.origin.requests[0]?.body).toBe('hello');
  });

  it.each(['100-continue', 'miracles'])('T-17 is simply dropped without a body to wait for: %s', async (value) => {
    const client = await line(stage.proxy.port);
    expect((await client.ask(headFor(stage, '/', `Expect: ${value}\r\n`))).status).toBe(200);
    expect(stage.origin.requests[0]?.head).not.toMatch(/expect/i);
  });
});
