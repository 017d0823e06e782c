/** A flag of Node that loosens its parsers must not loosen this proxy (robustness A03). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AUTH } from '../support/client.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { everything, statusesIn } from './transport-kit.ts';

let child: ChildProcess;
let port: number;
let origin: Origin;

const tell = async (): Promise<Record<string, unknown>> => (await once(child, 'message'))[0] as Record<string, unknown>;

beforeAll(async () => {
  origin = await makeOrigin();
  child = fork(join(import.meta.dirname, 'framing-child.ts'), {
    execArgv: ['--insecure-http-parser', '--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const told = await tell();
  expect(told['execArgv']).toContain('--insecure-http-parser');
  port = told['port'] as number;
});
afterAll(async () => {
  const ended = once(child, 'exit');
  child.disconnect();
  expect((await ended)[0]).toBe(0);
  await origin.close();
});
beforeEach(() => {
  origin.requests.length = 0;
});

const site = (): string => `http://shop.localhost:${origin.port}`;
const smuggled = (): string => `GET ${site()}/smuggled HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`;
const post = (framing: string, body: string): string =>
  `POST ${site()}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${framing}\r\n${body}`;

const CASES: readonly (readonly [string, () => string])[] = [
  [
    'Content-Length and Transfer-Encoding',
    () => post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled()}`),
  ],
  [
    'Transfer-Encoding and Content-Length',
    () => post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${smuggled()}`),
  ],
  ['two lengths', () => post('Content-Length: 4\r\nContent-Length: 0\r\n', `abcd${smuggled()}`)],
  ['chunked, identity', () => post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${smuggled()}`)],
  ['a folded Transfer-Encoding', () => post('X: y\r\nTransfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${smuggled()}`)],
  ['a space before a colon', () => post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${smuggled()}`)],
  ['NUL in a value', () => post('X: a\0b\r\n', '')],
  ['a bare LF after a header', () => post('X: a\nY: b\r\n', '')],
  ['CL on CONNECT', () => `CONNECT x.localhost:80 HTTP/1.1\r\n${AUTH}Content-Length: 4\r\n\r\nabcd`],
];

describe('started with --insecure-http-parser', () => {
  it('is a flag that makes a difference to a server that says nothing about it', async () => {
    // Otherwise the cases below would prove nothing: the parser of this very process is the strict one.
    const strict = createServer((_request, response) => response.end('ok'));
    await new Promise<void>((resolve) => strict.listen(0, '127.0.0.1', resolve));
    const lenient = createServer({ insecureHTTPParser: true }, (_request, response) => response.end('ok'));
    await new Promise<void>((resolve) => lenient.listen(0, '127.0.0.1', resolve));
    const ask = async (server: typeof strict): Promise<number | undefined> => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return statusesIn(chunk.toString('latin1'))[0];
    };
    expect([await ask(strict), await ask(lenient)]).toEqual([400, 200]);
    strict.close();
    lenient.close();
  });

  it.each(CASES)('robustness A03 answers one 400 to %s and closes', async (_what, text) => {
    expect(statusesIn(await everything(port, text()))).toEqual([400]);
    expect(origin.requests).toHaveLength(0);
  });

  it('robustness A03 serves a good request', async () => {
    const text = await everything(port, post('Connection: close\r\nContent-Length: 5\r\n', 'hello'));
    expect(statusesIn(text)).toEqual([200]);
    expect(origin.requests[0]?.body).toBe('hello');
  });

  it('robustness A03 finds no bug on the way', async () => {
    const answer = tell();
    child.send('bugs?');
    expect(await answer).toEqual({ bugs: [] });
  });
});
