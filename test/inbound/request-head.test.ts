/** The reader of request heads beside Node's own parser: what ours takes, Node takes, and both read the same. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Malformed, type RequestHead, readRequestHead } from '../../src/inbound/request-head.ts';

type Read = Pick<RequestHead, 'method' | 'url' | 'httpVersion'> & { readonly rawHeaders: readonly string[] };

let server: Server;
let port = 0;
let heard: Read | undefined;
beforeAll(async () => {
  server = createServer({ requireHostHeader: false, insecureHTTPParser: false });
  const note = ({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): void => {
    heard = { method, url, httpVersion: httpVersion as '1.1', rawHeaders };
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) {
    server.on(event, (request: IncomingMessage, response: ServerResponse) => {
      note(request);
      response.writeHead(200, { Connection: 'close' }).end();
    });
  }
  server.on('connect', (request, socket) => {
    note(request);
    socket.end('HTTP/1.1 200 OK\r\n\r\n');
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

/** What Node makes of a head. */
const byNode = (head: string): Promise<Read | undefined> =>
  new Promise((resolve) => {
    heard = undefined;
    const socket = connect(port, '127.0.0.1', () => socket.end(Buffer.from(`${head}\r\n`, 'latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    socket.resume();
  });

/** Node looks into URLs already, which here is done behind the reader: the same head with one that nobody minds. */
const withPlainUrl = async ({ method, url }: RequestHead, head: string): Promise<Read | undefined> => {
  const plain = method === 'CONNECT' ? 'x:1' : '/';
  const read = await byNode(head.replace(` ${url} `, () => ` ${plain} `));
  return read && { ...read, url };
};

/** What ours makes of it. */
const byUs = (head: string): RequestHead | undefined => {
  try {
    return readRequestHead(head);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
};

const LINES = [
  'Host: shop.localhost',
  'Content-Length: 0',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive, Upgrade',
  'Proxy-Connection: keep-alive',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'X-Name: caf\xe9 \xff',
  'X-Empty:',
  'X-Blank:  \t ',
  'x-lower:a:b',
  'Cookie: a=b; c="d"',
];

const heads = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD', 'CONNECT', 'OPTIONS', 'M-SEARCH', 'get', 'BREW', ''),
    url: fc.constantFrom(
      '/',
      '*',
      'http://shop.localhost/a?b#c',
      'shop.localhost:443',
      '/a%20b',
      '/caf\xe9',
      '/a b',
      '',
    ),
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.10', ''),
    lines: fc.uniqueArray(fc.constantFrom(...LINES), { maxLength: 6, selector: (line) => line.split(':')[0] }),
  })
  .map(({ method, url, version, lines }) => `${[`${method} ${url} ${version}`, ...lines].join('\r\n')}\r\n`);

/** One byte put in, taken out or changed: where parsers begin to differ. */
const mutated = fc
  .tuple(
    heads,
    fc.nat(),
    fc.constantFrom('insert', 'drop', 'change', 'keep'),
    fc.constantFrom(...' \t\r\n\0:,\x7f\x80\x01a'),
  )
  .map(([head, seed, how, byte]) => {
    const at = seed % (head.length - 2);
    if (how === 'keep') return head;
    if (how === 'insert') return head.slice(0, at) + byte + head.slice(at);
    return head.slice(0, at) + (how === 'change' ? byte : '') + head.slice(at + 1);
  });

describe('a request head', () => {
  it('robustness A01 that is taken is taken by Node too, and both read the same', { timeout: 60_000 }, async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(mutated, async (head) => {
        const ours = byUs(head);
        if (!ours) return;
        // Node waits for a body that never comes, or takes it for the next request: its head is what is compared.
        const { method, url, httpVersion, rawHeaders } = ours;
        const theirs = (await byNode(head)) ?? (await withPlainUrl(ours, head));
        expect({ method, url, httpVersion, rawHeaders }).toEqual(theirs);
        taken++;
      }),
      { numRuns: 1_500 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it('robustness A01 reads the framing Node reads', () => {
    const read = (lines: string): RequestHead => readRequestHead(`POST / HTTP/1.1\r\n${lines}`);
    expect(read('Content-Length: 12\r\n')).toMatchObject({ length: 12, chunked: false, keepAlive: true });
    expect(read('Transfer-Encoding: Chunked\r\nConnection: x, close\r\n')).toMatchObject({
      chunked: true,
      keepAlive: false,
    });
    expect(readRequestHead('GET / HTTP/1.0\r\n').keepAlive).toBe(false);
    expect(readRequestHead('GET / HTTP/1.0\r\nConnection: keep-alive\r\n').keepAlive).toBe(true);
  });

  it('never throws anything but Malformed, whatever the bytes', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void byUs(text)));
  });
});
