/** The script of an exchange: what each attempt comes to, what it sent, and what reached the client. */
import { Fault } from '../../src/model/errors.ts';
import type {
  AttemptOptions,
  BodySink,
  BodySource,
  Delivery,
  InboundResponse,
  OutboundRequest,
  Reply,
  ReplyHead,
  Stop,
  Transport,
} from '../../src/pipeline/ports.ts';

/** What an attempt comes to: a response, an error it rejects with, or nothing until the client leaves. */
export type Play = Partial<InboundResponse> | Error | 'silence';

export interface Attempted {
  readonly request: OutboundRequest;
  readonly options: AttemptOptions;
  /** The request's body as the target would have got it. */
  body: string;
}

export interface SentAnswer {
  readonly head: ReplyHead;
  readonly body: string;
  readonly streamed: boolean;
}

/** A body that is all there, or breaks after its text. */
const sourceOf = (text: string, breaks: Error | undefined, claimed: () => void): BodySource => ({
  start(sink) {
    claimed();
    if (text !== '') sink.write(Buffer.from(text));
    if (breaks) sink.fail(breaks);
    else sink.end();
  },
  resume() {},
  abort: claimed,
});

export const page = (status: number, text = '', over: Partial<InboundResponse> = {}): Play => ({
  status,
  reason: 'Scripted',
  headers: ['Content-Type', 'text/plain'],
  length: text.length,
  ...(text === '' ? {} : { body: sourceOf(text, undefined, () => {}) }),
  ...over,
});

/** A body that breaks after so much of it. */
export const brokenBody = (text: string): BodySource =>
  sourceOf(text, new Fault('econnreset', { headRead: true, reason: 'response body: ECONNRESET' }), () => {});

const collect = (source: BodySource, into: Attempted): void => {
  const sink: BodySink = {
    write(chunk) {
      into.body += chunk.toString('latin1');
      return true;
    },
    end() {},
    fail() {},
  };
  source.start(sink);
};

export interface Script {
  readonly plays: readonly Play[];
  readonly attempted: Attempted[];
  readonly claims: { open: number };
}

const perform = (play: Play | undefined, options: AttemptOptions, stop: Stop, { claims }: Script) =>
  new Promise<InboundResponse>((resolve, reject) => {
    if (play === undefined) throw new Error('one attempt more than the script has');
    if (play instanceof Error) return reject(play);
    if (play === 'silence') return stop.listen(reject);
    claims.open++;
    let claimed = false;
    const claim = (): void => {
      if (!claimed) claims.open--;
      claimed = true;
    };
    const given = play.body ?? sourceOf('', undefined, () => {});
    const body: BodySource = {
      start(sink) {
        claim();
        given.start(sink);
      },
      resume: () => given.resume(),
      abort() {
        claim();
        given.abort();
      },
    };
    const exit = options.upstream.label ?? '127.0.0.1:0';
    resolve({
      status: 200,
      reason: 'OK',
      headers: [],
      length: undefined,
      requestMs: 12.5,
      exit,
      reused: false,
      ...play,
      body,
    });
  });

export const makeScriptedTransport = (script: Script): Transport => ({
  attempt(request, options, stop) {
    const play = script.plays[script.attempted.length];
    const attempt: Attempted = { request, options, body: '' };
    script.attempted.push(attempt);
    if (request.body) collect(request.body.source, attempt);
    return perform(play, options, stop, script);
  },
  close: async () => {},
});

export const makeRecordedReply = (answers: SentAnswer[]): Reply => ({
  send(head, body) {
    answers.push({ head, body, streamed: false });
  },
  stream: (head, source, stop) =>
    new Promise<Delivery>((resolve) => {
      let text = '';
      const finish = (failure: Error | undefined): void => {
        stop.listen(undefined);
        answers.push({ head, body: text, streamed: true });
        resolve({ bytes: text.length, failure });
      };
      stop.listen((reason) => {
        source.abort();
        finish(reason);
      });
      source.start({
        write(chunk) {
          text += chunk.toString('latin1');
          return true;
        },
        end: () => finish(undefined),
        fail: finish,
      });
    }),
});
