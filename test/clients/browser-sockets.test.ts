/** Chromium under Playwright: WebSockets over ws:// and wss://, which a browser sends through CONNECT alike (T-10, T-18). */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Receipt } from '../../src/pipeline/ports.ts';
import { until } from '../support/sockets.ts';
import { browse, html, website } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

type Talk = (socket: WebSocket, request: IncomingMessage) => void;

/** Lets both of the town's servers take WebSockets; `refused` paths are answered with that status instead. */
const takeSockets = (town: Town, talk: Talk, refused: Readonly<Record<string, number>> = {}): IncomingMessage[] => {
  const server = new WebSocketServer({ noServer: true });
  const asked: IncomingMessage[] = [];
  for (const one of town.site.servers) {
    one.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      asked.push(request);
      const status = refused[request.url ?? ''];
      if (status !== undefined) {
        socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      // What is said at once leaves in one piece with the 101.
      socket.cork();
      server.handleUpgrade(request, socket, head, (web) => talk(web, request));
      socket.uncork();
    });
  }
  return asked;
};

const start = async (key?: string) => {
  const town = await startTown({ upstreams: 3, handler: website({ '/': html('here') }) });
  const { page } = await browse(town, key === undefined ? town.key : `${town.key}${key}`);
  return { town, page };
};

const addressOf = ({ site }: Town, scheme: string): { page: string; socket: string } =>
  scheme === 'wss'
    ? { page: site.httpsUrl, socket: site.httpsUrl.replace('https', 'wss') }
    : { page: site.httpUrl, socket: site.httpUrl.replace('http', 'ws') };

/** Requests that were tried; a browser's first CONNECTs without credentials are not. */
const answered = ({ proxy }: Town): Receipt[] => proxy.receipts.filter(({ attempts }) => attempts.length > 0);

/** What a socket said until it was closed: messages, then code, reason and whether it was clean. */
const TALK = `(url, messages, enough) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  const got = [];
  let failed = false;
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => messages.forEach((one) => socket.send(one));
  socket.onmessage = ({ data }) => got.push(data) === enough && socket.close(4001, 'enough');
  socket.onerror = () => { failed = true; };
  socket.onclose = ({ code, reason, wasClean }) => resolve({ got, code, reason, wasClean, failed });
})`;

const clean = (got: readonly unknown[], code: number, reason: string): object => ({
  got,
  code,
  reason,
  wasClean: true,
  failed: false,
});

const FAILED = { got: [], code: 1006, reason: '', wasClean: false, failed: true };

describeClient('chromium', () => {
  it.each(['ws', 'wss'])(
    'T-18 echoes text, bytes and 1 MiB over %s, and closes with the code of the page',
    async (scheme) => {
      const { town, page } = await start();
      const codes: string[] = [];
      takeSockets(town, (socket) => {
        socket.on('message', (data, binary) => socket.send(data, { binary }));
        socket.on('close', (code, reason) => codes.push(`${code} ${reason}`));
      });
      const address = addressOf(town, scheme);
      await page.goto(`${address.page}/`);
      const talked = await page.evaluate(`(async () => {
      const bytes = new Uint8Array([0, 255, 1, 254]);
      const long = new Uint8Array(1 << 20).map((_, i) => i * 7 + (i >> 8));
      const result = await (${TALK})('${address.socket}/', ['grüße', bytes, long], 3);
      const [text, few, many] = result.got;
      const same = (one, other) => one.byteLength === other.length && new Uint8Array(one).every((byte, i) => byte === other[i]);
      return { ...result, got: [text, same(few, bytes), same(many, long)] };
    })()`);
      expect(talked).toEqual(clean(['grüße', true, true], 4001, 'enough'));
      expect(codes).toEqual(['4001 enough']);
      const through = town.upstreams.reduce((sum, one) => sum + one.accepted(), 0);
      expect(town.site.http.accepted() + town.site.https.accepted()).toBe(through);
    },
  );

  it.each(['ws', 'wss'])(
    'T-18 delivers what the target says along with the 101 over %s, and its close code',
    async (scheme) => {
      const { town, page } = await start();
      takeSockets(town, (socket) => {
        socket.send('at once');
        socket.send('and more');
        socket.close(4999, 'that is all');
      });
      const address = addressOf(town, scheme);
      await page.goto(`${address.page}/`);
      const talked = await page.evaluate(`(${TALK})('${address.socket}/', [], 9)`);
      expect(talked).toEqual(clean(['at once', 'and more'], 4999, 'that is all'));
    },
  );

  it.each(['ws', 'wss'])(
    'T-18 fails a handshake over %s that the target refuses, bans or cannot be asked for',
    async (scheme) => {
      const { town, page } = await start();
      const asked = takeSockets(town, () => {}, { '/refused': 404, '/banned': 429 });
      const address = addressOf(town, scheme);
      await page.goto(`${address.page}/`);
      const talk = (url: string): Promise<unknown> => page.evaluate(`(${TALK})('${url}', [], 9)`);
      expect(await talk(`${address.socket}/refused`)).toEqual(FAILED);
      expect(asked.map(({ url }) => url)).toEqual(['/refused']);
      expect(await talk(`${address.socket}/banned`)).toEqual(FAILED);
      expect(asked.length).toBeGreaterThan(2);
      expect(await talk(`${scheme}://nowhere.invalid/`)).toEqual(FAILED);
      await until(() => answered(town).length === 4, 'the receipts of the page and three handshakes', 20_000);
      expect(
        answered(town)
          .slice(1)
          .map(({ status }) => status),
      ).toEqual([404, 503, 502]);
    },
  );

  it('U-11 T-18 F-01 keeps a socket in the session of its user name, and its control headers to itself', async () => {
    const { town, page } = await start('-session-chat');
    const asked = takeSockets(town, (socket) => socket.close(4000));
    const response = await page.goto(`${town.site.httpsUrl}/`);
    await page.evaluate(`(${TALK})('${addressOf(town, 'wss').socket}/', [], 9)`);
    await until(() => answered(town).length === 2, 'both receipts', 20_000);
    expect(answered(town).map(({ attempts }) => attempts.at(-1)?.exit)).toEqual([
      response?.headers()['x-crawlera-slave'],
      response?.headers()['x-crawlera-slave'],
    ]);
    const names = (asked[0]?.rawHeaders ?? []).map((name) => name.toLowerCase());
    expect(names.filter((name) => name.startsWith('x-crawlera-') || name.startsWith('proxy-'))).toEqual([]);
    expect(asked[0]?.headers.origin).toBe(town.site.httpsUrl);
    expect(asked[0]?.headers['sec-websocket-extensions']).toContain('permessage-deflate');
  });
});
