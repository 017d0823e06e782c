/** A target server made of a script: it records the exact bytes it received and answers with the exact bytes it was given. */
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import type { TestCertificate } from './certificates.ts';
import { type Listening, listen } from './sockets.ts';

export interface SeenRequest {
  /** Head as received, with its blank line. */
  readonly head: string;
  /** Decoded body. */
  readonly body: string;
  /** Number of the connection it came on, from 1. */
  readonly connection: number;
  /** SNI of a TLS connection. */
  readonly servername: string | undefined;
  readonly sessionReused: boolean;
  /** Source address as the server sees it. */
  readonly from: string | undefined;
}

/**
 * What to do about a request, given in order; each may be:
 * - text: written as it is (latin1);
 * - `wait` milliseconds; `reset` = RST; `close` = FIN; `hang` = nothing more on this request;
 * - `trickle`: a byte at a time, one a turn of the event loop; `until`: goes on when the promise resolves.
 */
export type Act =
  | string
  | Buffer
  | { readonly wait: number }
  | { readonly trickle: string }
  | { readonly until: Promise<unknown> }
  | 'reset'
  | 'close'
  | 'hang';

export interface OriginOptions {
  /** Speaks TLS with this certificate. */
  readonly certificate?: TestCertificate;
  readonly host?: string;
  /** What happens to a connection before anything is read. */
  readonly onConnect?: 'reset' | 'close' | 'silent';
  /** Answer as soon as the head is there, without waiting for the body. */
  readonly early?: boolean;
}

export interface Origin extends Listening {
  readonly requests: SeenRequest[];
  /** All bytes received, in order of arrival. */
  received(): string;
  /** The script for the next request without one; requests beyond the script get `fallback`. */
  enqueue(...acts: Act[]): void;
  fallback: readonly Act[];
}

export const reply = (body: string, extra = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n${extra}\r\n${body}`;

/** Length of the body at the start of `text`, decoded; undefined while incomplete. */
const readBody = (head: string, text: string): { body: string; used: number } | undefined => {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const size = Number(length);
    return text.length < size ? undefined : { body: text.slice(0, size), used: size };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { body: '', used: 0 };
  let at = 0;
  let body = '';
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const size = Number.parseInt(text.slice(at, end), 16);
    if (text.length < end + 2 + size + 2) return undefined;
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
    if (size === 0) return { body, used: at };
  }
};

const trickle = async (socket: Socket, text: string): Promise<void> => {
  for (const byte of Buffer.from(text, 'latin1')) {
    if (socket.destroyed) return;
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
};

/** False = the request is left hanging or the connection is gone. */
const perform = async (socket: Socket, act: Act): Promise<boolean> => {
  if (typeof act === 'string' || Buffer.isBuffer(act)) {
    if (act === 'hang') return false;
    if (act === 'close') {
      socket.end();
      return false;
    }
    if (act === 'reset') {
      socket.resetAndDestroy();
      return false;
    }
    socket.write(act, 'latin1');
    return true;
  }
  if ('wait' in act) await new Promise((resolve) => setTimeout(resolve, act.wait));
  else if ('trickle' in act) await trickle(socket, act.trickle);
  else await act.until;
  return !socket.destroyed;
};

const tlsFacts = (socket: Socket): Pick<SeenRequest, 'servername' | 'sessionReused'> => {
  if (!(socket instanceof TLSSocket)) return { servername: undefined, sessionReused: false };
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return { servername: servername || undefined, sessionReused: socket.isSessionReused() };
};

export const makeOrigin = async (options: OriginOptions = {}): Promise<Origin> => {
  const requests: SeenRequest[] = [];
  const scripts: (readonly Act[])[] = [];
  const state: { fallback: readonly Act[] } = { fallback: [reply('hello')] };
  let received = '';
  let connections = 0;

  const answer = async (socket: Socket): Promise<void> => {
    for (const act of scripts.shift() ?? state.fallback) if (!(await perform(socket, act))) return;
  };

  const serve = (socket: Socket): void => {
    const connection = ++connections;
    let text = '';
    let answered = false;
    let busy = Promise.resolve();
    socket.on('error', () => {});
    const next = (): boolean => {
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return false;
      const head = text.slice(0, end + 4);
      if (options.early && !answered) {
        answered = true;
        busy = busy.then(() => answer(socket));
      }
      const found = readBody(head, text.slice(end + 4));
      if (!found) return false;
      text = text.slice(end + 4 + found.used);
      requests.push({ head, body: found.body, connection, from: socket.remoteAddress, ...tlsFacts(socket) });
      if (!answered) busy = busy.then(() => answer(socket));
      answered = false;
      return true;
    };
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      text += chunk.toString('latin1');
      while (next());
    });
  };

  const greet = (socket: Socket): boolean => {
    if (options.onConnect === 'reset') socket.resetAndDestroy();
    else if (options.onConnect === 'close') socket.end();
    return options.onConnect === undefined;
  };

  const { certificate } = options;
  const server =
    certificate && options.onConnect === undefined
      ? createTlsServer({ cert: certificate.cert, key: certificate.key }, serve)
      : createServer((socket) => {
          if (greet(socket)) serve(socket);
          else socket.resume();
        });
  server.on('tlsClientError', () => {});
  const listening = await listen(server, options.host);
  return {
    ...listening,
    requests,
    received: () => received,
    enqueue: (...acts) => scripts.push(acts),
    get fallback() {
      return state.fallback;
    },
    set fallback(acts) {
      state.fallback = acts;
    },
  };
};
