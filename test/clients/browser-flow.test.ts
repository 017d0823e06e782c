/** Chromium under Playwright: long answers, answers that trickle, and answers that are refusals. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { expect, it, vi } from 'vitest';
import { until } from '../support/sockets.ts';
import { type Answer, browse, html, website } from './browser-kit.ts';
import { describeClient, startTown } from './kit.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const MIB = 1 << 20;
const LENGTH_MIB = 50;

/** 50 MiB made of one random one, no two MiB alike, and its SHA-256. */
const large = (): { readonly hash: string; send(response: ServerResponse): Promise<void> } => {
  const block = randomBytes(MIB + LENGTH_MIB);
  const part = (i: number): Buffer => block.subarray(i, i + MIB);
  const hash = createHash('sha256');
  for (let i = 0; i < LENGTH_MIB; i++) hash.update(part(i));
  return {
    hash: hash.digest('hex'),
    async send(response) {
      for (let i = 0; i < LENGTH_MIB; i++) if (!response.write(part(i))) await once(response, 'drain');
      response.end();
    },
  };
};

const hashOf = async (file: string): Promise<string> => {
  const hash = createHash('sha256');
  const stream = createReadStream(file).on('data', (chunk) => hash.update(chunk));
  await finished(stream);
  return hash.digest('hex');
};

/** The next piece is sent only when the page has told that it has the one before. */
const stepwise = (send: (response: ServerResponse, step: number) => void, type: string) => {
  let open: ServerResponse | undefined;
  let step = 0;
  let closed = false;
  const next = (): void => {
    if (open) send(open, ++step);
  };
  const stream: Answer = (_request, response) => {
    open = response;
    response.on('close', () => {
      closed = true;
    });
    response.setHeader('Content-Type', type);
    next();
  };
  const got: Answer = (_request, response) => {
    response.end();
    next();
  };
  return { stream, got, steps: () => step, closed: () => closed };
};

describeClient('chromium', () => {
  it('T-16 downloads 50 MiB over https, byte for byte, in steady memory', async () => {
    const { hash, send } = large();
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '/': html('<a href="/large" download>get</a>'),
        '/large': (_request, response) => {
          const head = { 'Content-Type': 'application/octet-stream', 'Content-Disposition': 'attachment' };
          response.writeHead(200, { ...head, 'Content-Length': LENGTH_MIB * MIB });
          return send(response);
        },
      }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpsUrl}/`);
    const before = process.memoryUsage.rss();
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 10);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a')]);
    const file = await download.path();
    clearInterval(timer);
    expect(await hashOf(file)).toBe(hash);
    expect((most - before) / MIB).toBeLessThan(LENGTH_MIB * 0.8);
  });

  it('A-11 delivers server-sent events one by one, each before the next is sent', async () => {
    const events = stepwise((response, step) => response.write(`data: ${step}\n\n`), 'text/event-stream');
    const town = await startTown({
      upstreams: 1,
      handler: website({ '/': html('here'), '/events': events.stream, '/got': events.got }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpsUrl}/`);
    const listened = page.evaluate(`new Promise((resolve) => {
      const source = new EventSource('/events');
      const got = [];
      source.onmessage = ({ data }) => {
        if (got.push(data) < 20) return fetch('/got');
        source.close();
        resolve(got.join());
      };
    })`);
    expect(await listened).toBe(Array.from({ length: 20 }, (_, i) => i + 1).join());
    expect(events.steps()).toBe(20);
    await until(() => events.closed(), 'the end of the events', 20_000);
  });

  it('A-11 delivers chunks of a few bytes as they come', async () => {
    const trickle = stepwise((response, step) => {
      response.write(`${step};`);
      if (step === 20) response.end();
    }, 'text/plain');
    const town = await startTown({
      upstreams: 1,
      handler: website({ '/': html('here'), '/trickle': trickle.stream, '/got': trickle.got }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpUrl}/`);
    const read = page.evaluate(`fetch('/trickle').then(async ({ body }) => {
      const got = [];
      for (const reader = body.getReader(); ; ) {
        const { value, done } = await reader.read();
        if (done) return got;
        got.push(new TextDecoder().decode(value));
        if (got.length < 20) fetch('/got');
      }
    })`);
    expect(await read).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1};`));
  });

  it('T-19 leaves the target alone when a page is left in the middle of a download', async () => {
    let closed = 0;
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '/': html('<script>fetch("/endless")</script>'),
        '/endless': (_request, response) => {
          response.on('close', () => closed++);
          response.write('begun');
        },
        '/next': html('next'),
      }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpsUrl}/`);
    await until(() => town.site.seen.some(({ url }) => url === '/endless'), 'the download', 20_000);
    await page.goto(`${town.site.httpsUrl}/next`);
    await until(() => closed === 1, 'the end of the download', 20_000);
  });

  it('U-04 U-05 shows an authentication error for a wrong key, over https and http', async () => {
    const town = await startTown();
    const { page, notes } = await browse(town, 'wrong');
    const messages: string[] = [];
    for (const url of [town.site.httpsUrl, town.site.httpUrl]) {
      await page.goto(url).catch((error: Error) => messages.push(/net::\w+/.exec(error.message)?.[0] ?? error.message));
    }
    expect(messages).toEqual(Array(2).fill('net::ERR_HTTP_RESPONSE_CODE_FAILURE'));
    expect(notes.responses.map((one) => one.status())).toEqual([407, 407]);
    expect(town.site.seen).toEqual([]);
  });

  it('T-06 E-01 R-07 shows the text of an error inside an https tunnel', async () => {
    const town = await startTown();
    const { page } = await browse(town);
    const response = await page.goto('https://nowhere.invalid/');
    expect(response?.status()).toBe(502);
    expect(response?.headers()['x-crawlera-error']).toBe('nxdomain');
    expect(await page.textContent('body')).toBe('Error looking up domain');
  });

  it('F-03 answers the 401 of a website with the credentials for the website', async () => {
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '/': (request, response, url) => {
          const expected = `Basic ${Buffer.from('reader:secret').toString('base64')}`;
          if (request.headers.authorization === expected) return html('inside')(request, response, url);
          response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="shop"' });
          response.end('outside');
        },
      }),
    });
    const { page } = await browse(town, town.key, { httpCredentials: { username: 'reader', password: 'secret' } });
    await page.goto(`${town.site.httpsUrl}/`);
    expect(await page.textContent('body')).toBe('inside');
  });

  it('C-04 runs a service worker, and sends what a page left behind with keepalive', async () => {
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '/': html('here'),
        '/away': html('away'),
        '/worker.js': (_request, response) => {
          response.setHeader('Content-Type', 'text/javascript');
          response.end(`onactivate = (event) => event.waitUntil(clients.claim());
            onfetch = (event) => event.respondWith(fetch('/real').then((one) => one.text()).then((text) => new Response('worker: ' + text)))`);
        },
        '/real': (_request, response) => void response.end('real text'),
        '/beacon': (_request, response) => void response.end(),
      }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpsUrl}/`);
    const worked = page.evaluate(`(async () => {
      const controlled = new Promise((resolve) => (navigator.serviceWorker.oncontrollerchange = resolve));
      await navigator.serviceWorker.register('/worker.js');
      await controlled;
      const text = await (await fetch('/imagined')).text();
      await (await navigator.serviceWorker.ready).unregister();
      return text;
    })()`);
    expect(await worked).toBe('worker: real text');
    expect(town.site.seen.some(({ url }) => url === '/imagined')).toBe(false);
    const other = await page.context().newPage();
    await other.goto(`${town.site.httpUrl}/`);
    await other.evaluate("onpagehide = () => fetch('/beacon', { method: 'POST', body: 'bye', keepalive: true })");
    await other.goto(`${town.site.httpUrl}/away`);
    await until(() => town.site.seen.some(({ url }) => url === '/beacon'), 'the beacon', 20_000);
  });
});
