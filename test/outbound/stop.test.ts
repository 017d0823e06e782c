/** Every step of an attempt ends within milliseconds of its stop, and leaves no socket behind. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Gone } from '../../src/model/errors.ts';
import type { Upstream } from '../../src/model/job.ts';
import type { OutboundBody, Transport } from '../../src/pipeline/ports.ts';
import { type Listening, listen, until } from '../support/sockets.ts';
import { directExit } from '../support/upstream.ts';
import { faultOf, optionsFor, readBody, requestTo, stopButton, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

/** Accepts connections and never answers. */
const hole = async (): Promise<Listening> => kit.closing(await listen(createServer((socket) => socket.resume())));

interface Phase {
  readonly upstream: Upstream;
  readonly scheme: 'http' | 'https';
  readonly port: number;
  readonly servers: readonly Listening[];
  /** True once the phase is reached. */
  readonly reached: () => boolean;
  readonly body?: OutboundBody;
}

const at = (servers: readonly Listening[]): (() => boolean) => {
  const [first] = servers;
  return () => (first?.accepted() ?? 0) > 0;
};

const PHASES: Record<string, () => Promise<Phase>> = {
  'TLS with the target': async () => {
    const site = await hole();
    return { upstream: directExit(), scheme: 'https', port: site.port, servers: [site], reached: at([site]) };
  },
  'the response head': async () => {
    const site = await kit.origin({ onConnect: 'silent' });
    return { upstream: directExit(), scheme: 'http', port: site.port, servers: [site], reached: at([site]) };
  },
  'TLS with the upstream': async () => {
    const proxy = await hole();
    const { model } = await kit.upstream({ kind: 'https' });
    const upstream = { ...model, port: proxy.port };
    return { upstream, scheme: 'http', port: 80, servers: [proxy], reached: at([proxy]) };
  },
  'the SOCKS greeting': async () => {
    const proxy = await hole();
    const { model } = await kit.upstream({ kind: 'socks5' });
    const upstream = { ...model, port: proxy.port };
    return { upstream, scheme: 'http', port: 80, servers: [proxy], reached: at([proxy]) };
  },
  'the SOCKS reply': async () => {
    const proxy = await kit.upstream({ kind: 'socks5' });
    proxy.misbehaviour = { reply: '' };
    const reached = (): boolean => proxy.seen.length > 0;
    return { upstream: proxy.model, scheme: 'http', port: 80, servers: [proxy], reached };
  },
  'the CONNECT reply': async () => {
    const proxy = await kit.upstream({ kind: 'https' });
    proxy.misbehaviour = { reply: 'HTTP/1.1 200' };
    const reached = (): boolean => proxy.seen.length > 0;
    return { upstream: proxy.model, scheme: 'https', port: 443, servers: [proxy], reached };
  },
  'TLS with the target in a tunnel': async () => {
    const site = await hole();
    const proxy = await kit.upstream({ kind: 'https' });
    const servers = [site, proxy];
    return { upstream: proxy.model, scheme: 'https', port: site.port, servers, reached: at(servers) };
  },
  'sending the body': async () => {
    const site = await kit.origin();
    const body = { length: 100, source: { start() {}, resume() {}, abort() {} } };
    return { upstream: directExit(), scheme: 'http', port: site.port, servers: [site], reached: at([site]), body };
  },
};

const begin = (transport: Transport, phase: Phase, headMs: number): { stop: () => void; ended: Promise<unknown> } => {
  const button = stopButton();
  const target = targetOf(phase.scheme, 'shop.localhost', phase.port);
  const request = requestTo(target, { body: phase.body, method: phase.body ? 'POST' : 'GET' });
  const ended = transport.attempt(request, optionsFor({ upstream: phase.upstream, headMs }), button);
  return { stop: () => button.press(new Gone()), ended };
};

const allClosed = (phase: Phase): Promise<void> =>
  until(() => phase.servers.every(({ open }) => open.size === 0), 'no socket left', 1_000);

describe('T-19 and robustness G08: the stop', () => {
  it.each(Object.entries(PHASES))('ends %s', async (_name, make) => {
    const phase = await make();
    const { stop, ended } = begin(kit.transport(), phase, 10_000);
    const outcome = ended.catch((error: unknown) => error);
    await until(phase.reached, 'the phase');
    const pressed = performance.now();
    stop();
    expect(await outcome).toBeInstanceOf(Gone);
    expect(performance.now() - pressed).toBeLessThan(100);
    await allClosed(phase);
  });

  it('ends a lookup', async () => {
    const out = kit.transport({ lookup: () => {} });
    const button = stopButton();
    const ended = out.attempt(requestTo(targetOf('http', 'slow.test', 80)), optionsFor(), button);
    button.press(new Gone());
    await expect(ended).rejects.toBeInstanceOf(Gone);
  });

  it('pressed beforehand sends nothing, on a fresh or a pooled connection', async () => {
    const site = await kit.origin();
    const out = kit.transport();
    const request = requestTo(targetOf('http', '127.0.0.1', site.port));
    const pressed = stopButton();
    pressed.press(new Gone());
    await expect(out.attempt(request, optionsFor(), pressed)).rejects.toBeInstanceOf(Gone);
    expect(site.accepted()).toBe(0);
    await readBody((await out.attempt(request, optionsFor(), stopButton())).body);
    await expect(out.attempt(request, optionsFor(), pressed)).rejects.toBeInstanceOf(Gone);
    expect(site.requests).toHaveLength(1);
  });

  it('has nothing to do any more once the head is there', async () => {
    const site = await kit.origin();
    const button = stopButton();
    const request = requestTo(targetOf('http', '127.0.0.1', site.port));
    const response = await kit.transport().attempt(request, optionsFor(), button);
    button.press(new Gone());
    expect(await readBody(response.body)).toBe('hello');
  });
});

describe('robustness G02 and A-07: time until the head', () => {
  const late = Object.entries(PHASES).filter(([name]) => name !== 'sending the body');
  it.each(late)('runs out in %s', async (_name, make) => {
    const phase = await make();
    const { ended } = begin(kit.transport(), phase, 60);
    expect(await faultOf(ended)).toMatchObject({ condition: 'timeout', upstreamFailed: false });
    await allClosed(phase);
  });

  it('runs out in a lookup', async () => {
    const out = kit.transport({ lookup: () => {} });
    const ended = out.attempt(requestTo(targetOf('http', 'slow.test', 80)), optionsFor({ headMs: 30 }), stopButton());
    expect(await faultOf(ended)).toMatchObject({ condition: 'timeout', sent: 'nothing' });
  });
});

describe('closing the transport', () => {
  it('ends what is idle, running and dialling', async () => {
    const site = await kit.origin();
    const silent = await hole();
    const out = kit.transport();
    const request = requestTo(targetOf('http', '127.0.0.1', site.port));
    await readBody((await out.attempt(request, optionsFor(), stopButton())).body);
    site.enqueue('hang');
    const running = out.attempt(request, optionsFor({ owner: 'b' }), stopButton());
    const dialling = out.attempt(requestTo(targetOf('https', '127.0.0.1', silent.port)), optionsFor(), stopButton());
    await until(() => site.accepted() === 2 && silent.accepted() === 1);
    const ended = Promise.all([faultOf(running), faultOf(dialling)]);
    await out.close();
    for (const fault of await ended) expect(fault.condition).toBe('serverbusy');
    await until(() => site.open.size + silent.open.size === 0);
    expect((await faultOf(out.attempt(request, optionsFor(), stopButton()))).condition).toBe('serverbusy');
  });
});
