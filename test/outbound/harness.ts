/** What the outbound tests share: a transport on a real clock, requests, and a sink that collects a body. */

import { Fault } from '../../src/model/errors.ts';
import type { Target } from '../../src/model/job.ts';
import { makeTransport, type TransportParts } from '../../src/outbound/transport.ts';
import type {
  AttemptOptions,
  BodySource,
  Clock,
  InboundResponse,
  OutboundBody,
  OutboundRequest,
  Transport,
} from '../../src/pipeline/ports.ts';
import { makeStop, type StopButton } from '../../src/pipeline/stop.ts';
import { directExit } from '../support/upstream.ts';

export const realClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

export interface TestTransportOptions extends Partial<Omit<TransportParts, 'settings'>> {
  readonly connectMs?: number;
  readonly headersBytes?: number;
  readonly extraRoots?: string;
}

export const testTransport = (options: TestTransportOptions = {}): Transport => {
  const { connectMs = 2_000, headersBytes = 102_400, extraRoots, ...rest } = options;
  return makeTransport({
    settings: { timeouts: { connectMs }, limits: { headersBytes }, targets: { extraRoots } },
    clock: realClock,
    judgeAddress: () => true,
    ...rest,
  });
};

export const targetOf = (scheme: 'http' | 'https', host: string, port: number): Target => ({
  scheme,
  host,
  port,
  website: host,
  authority: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
});

export const requestTo = (target: Target, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  method: 'GET',
  target,
  path: '/',
  headers: ['Host', target.authority],
  framed: false,
  webSocket: false,
  body: undefined,
  servername: undefined,
  insecureTarget: false,
  ...more,
});

export const optionsFor = (more: Partial<AttemptOptions> = {}): AttemptOptions => ({
  upstream: directExit(),
  owner: 'a',
  session: undefined,
  headMs: 5_000,
  chunkMs: 5_000,
  ...more,
});

export const stopButton = (): StopButton => makeStop();

/** The whole body as latin1 text; rejects with what broke it. */
export const readBody = (source: BodySource): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    source.start({
      write(chunk) {
        text += chunk.toString('latin1');
        return true;
      },
      end: () => resolve(text),
      fail: reject,
    });
  });

export interface Answer {
  readonly response: InboundResponse;
  readonly text: string;
}

export const fetchText = async (
  transport: Transport,
  request: OutboundRequest,
  options: AttemptOptions = optionsFor(),
): Promise<Answer> => {
  const response = await transport.attempt(request, options, stopButton());
  return { response, text: await readBody(response.body) };
};

/** A body that is all there. */
export const keptBody = (text: string, length: number | undefined = Buffer.byteLength(text)): OutboundBody => ({
  length,
  source: {
    start(sink) {
      sink.write(Buffer.from(text));
      sink.end();
    },
    resume() {},
    abort() {},
  },
});

/** The `Fault` a promise rejects with. */
export const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('no fault');
};
