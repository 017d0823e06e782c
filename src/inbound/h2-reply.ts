/** Writes answers into HTTP/2 streams: a broken body resets its stream, the connection goes on (T-08, E-10). */
import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2';
import { Gone, Refusal } from '../model/errors.ts';
import type { HeaderList } from '../model/headers.ts';
import type { BodySource, Clock, Delivery, Reply, ReplyHead, Stop, Timer } from '../pipeline/ports.ts';
import { CLIENT_STALL_MS } from './link.ts';

/** Words of HTTP/1.1's connection management, which a website may send in a shape that hop-by-hop rules let pass. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Repeated they mean a list; Node wants them in one line. */
const LISTS: ReadonlySet<string> = new Set(['content-encoding', 'content-language']);

/** Fields Node sends once only: the first counts, as for Node's own HTTP/1.1 client. */
const SINGLE: ReadonlySet<string> = new Set(
  [
    'access-control-allow-credentials access-control-max-age age authorization content-length content-location content-md5',
    'content-range content-type date dnt etag expires from host if-match if-modified-since if-none-match if-range',
    'if-unmodified-since last-modified location max-forwards proxy-authorization range referer retry-after tk',
    'access-control-request-method upgrade-insecure-requests user-agent x-content-type-options',
  ]
    .join(' ')
    .split(' '),
);

const add = (fields: OutgoingHttpHeaders, name: string, value: string): void => {
  const before = fields[name];
  if (before === undefined) fields[name] = value;
  else if (LISTS.has(name)) fields[name] = `${before}, ${value}`;
  else if (Array.isArray(before)) before.push(value);
  else if (!SINGLE.has(name)) fields[name] = [String(before), value];
};

/** The head as Node's HTTP/2 takes it: lower-case names, repeated ones together. */
export const fieldsOf = (status: number, headers: HeaderList): OutgoingHttpHeaders => {
  const fields: OutgoingHttpHeaders = Object.create(null);
  fields[':status'] = status;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (!FORBIDDEN.has(name)) add(fields, name, headers[i + 1] as string);
  }
  return fields;
};

/** The website's own date or none (F-04). Node takes the option; its types do not know it. */
const NO_DATE: ServerStreamResponseOptions & { readonly sendDate: false } = { sendDate: false };

const respond = (stream: ServerHttp2Stream, { status, headers }: ReplyHead, more: HeaderList = []): void =>
  stream.respond(fieldsOf(status, more.length === 0 ? headers : [...headers, ...more]), NO_DATE);

/** Resets the stream. Not with `close(code)`: Node ends a stream before it resets it so, and the client takes it for complete. */
const cut = (stream: ServerHttp2Stream): void => {
  stream.destroy(new Error('cut'));
};

/** The largest status Node can send over HTTP/2. */
const MAX_STATUS = 599;

export const makeStreamReply = (stream: ServerHttp2Stream, clock: Clock): Reply => ({
  send(head, body) {
    if (stream.destroyed || stream.closed) return;
    // Too late to say anything: all that is left is to cut (E-10).
    if (stream.headersSent) {
      cut(stream);
      return;
    }
    // A 204 has no length to announce (RFC 9110, 8.6).
    respond(stream, head, head.status === 204 ? [] : ['content-length', String(Buffer.byteLength(body))]);
    if (!stream.writableEnded) stream.end(body);
    closeUnlessRead(stream, clock);
  },

  stream(head, body, stop, maxBytes) {
    if (head.status > MAX_STATUS) {
      throw new Refusal('send_failed', { reason: `status ${head.status} cannot be sent over HTTP/2` });
    }
    if (stream.destroyed || stream.closed) {
      body.abort();
      return Promise.resolve({ bytes: 0, failure: new Gone() });
    }
    respond(stream, head);
    return new Promise((resolve) => pour({ stream, clock, body, stop, maxBytes }, resolve));
  },
});

/** The last bytes are on their way to a client that may never take them. */
const closeUnlessRead = (stream: ServerHttp2Stream, clock: Clock): void => {
  if (stream.writableFinished) return;
  const stall = clock.after(CLIENT_STALL_MS, () => cut(stream));
  stream.once('close', () => stall.cancel());
};

interface Pouring {
  readonly stream: ServerHttp2Stream;
  readonly clock: Clock;
  readonly body: BodySource;
  readonly stop: Stop;
  readonly maxBytes: number;
}

/** Moves a body into a stream with backpressure; a body that breaks resets it once what came is handed over (E-10). */
const pour = ({ stream, clock, body, stop, maxBytes }: Pouring, done: (delivery: Delivery) => void): void => {
  // A HEAD request, a 204 or a 304: Node has ended the stream with the head.
  const mute = stream.writableEnded;
  let bytes = 0;
  let over = false;
  let broken = false;
  let unwritten = 0;
  let stall: Timer | undefined;
  const onWritten = (): void => {
    unwritten--;
    if (broken && unwritten === 0) cut(stream);
  };
  const finish = (failure: Error | undefined): void => {
    if (over) return;
    over = true;
    stall?.cancel();
    stop.listen(undefined);
    stream.removeListener('drain', onDrain);
    broken = failure !== undefined;
    if (broken && (unwritten === 0 || failure instanceof Gone)) cut(stream);
    else closeUnlessRead(stream, clock);
    done({ bytes, failure });
  };
  const giveUp = (reason: Error): void => {
    body.abort();
    finish(reason);
  };
  const onDrain = (): void => {
    stall?.cancel();
    stall = undefined;
    body.resume();
  };
  stream.on('drain', onDrain);
  stop.listen(giveUp);
  if (over) return;
  body.start({
    write(chunk) {
      if (over) return false;
      if (mute) return true;
      bytes += chunk.length;
      if (bytes > maxBytes) {
        giveUp(new Refusal('data_error', { reason: `body over ${maxBytes} bytes` }));
        return false;
      }
      unwritten++;
      if (stream.write(chunk, onWritten)) return true;
      stall ??= clock.after(CLIENT_STALL_MS, () => giveUp(new Gone('client stopped reading')));
      return false;
    },
    end() {
      if (over) return;
      if (!mute) stream.end();
      finish(undefined);
    },
    fail: finish,
  });
};
