/** One connection of the load client: to the origin or through a proxy, plain or with TLS after CONNECT, made again when it ends. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { type LoadPlan, ORIGIN_HOST } from './protocol.ts';
import { createReader, type Reader } from './reader.ts';

export interface Connection {
  /** One request; `done` is called once, with a text when it failed. One at a time. */
  request(done: (error?: string) => void): void;
  close(): void;
}

const ANSWER_MS = 20_000;
const contexts = new Map<string, SecureContext>();

const contextFor = (ca: string): SecureContext => {
  const known = contexts.get(ca);
  if (known) return known;
  const made = createSecureContext({ ca });
  contexts.set(ca, made);
  return made;
};

/** What every peer gets to read: the header fields of an ordinary crawler. */
const requestBytes = (plan: LoadPlan): Buffer => {
  const proxied = plan.proxyPort !== undefined && plan.scheme === 'http';
  const authority = `${ORIGIN_HOST}:${plan.originPort}`;
  return Buffer.from(
    `GET ${proxied ? `http://${authority}` : ''}/${plan.body} HTTP/1.1\r\nHost: ${authority}\r\n` +
      (proxied ? `Proxy-Authorization: ${plan.credentials}\r\n` : '') +
      'User-Agent: bench/1.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en\r\n' +
      `Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n${plan.more ?? ''}\r\n`,
    'latin1',
  );
};

const connectBytes = (plan: LoadPlan): string => {
  const authority = `${ORIGIN_HOST}:${plan.originPort}`;
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${plan.credentials}\r\n\r\n`;
};

const secure = (
  socket: Socket,
  plan: LoadPlan,
  ready: (socket: Socket) => void,
  failed: (why: string) => void,
): void => {
  if (plan.ca === undefined) {
    failed('no authority to verify with');
    return;
  }
  const tls = connectTls({ socket, servername: ORIGIN_HOST, secureContext: contextFor(plan.ca) });
  tls.once('secureConnect', () => ready(tls));
  tls.on('error', (error) => failed(`tls: ${error.message}`));
};

const tunnel = (
  socket: Socket,
  plan: LoadPlan,
  ready: (socket: Socket) => void,
  failed: (why: string) => void,
): void => {
  socket.write(connectBytes(plan));
  let seen = '';
  const onData = (chunk: Buffer): void => {
    seen += chunk.toString('latin1');
    if (!seen.endsWith('\r\n\r\n')) return;
    socket.off('data', onData);
    if (/^HTTP\/1\.[01] 200/.test(seen)) secure(socket, plan, ready, failed);
    else failed(`CONNECT answered ${seen.slice(0, seen.indexOf('\r\n'))}`);
  };
  socket.on('data', onData);
};

const dial = (plan: LoadPlan, ready: (socket: Socket) => void, failed: (why: string) => void): Socket => {
  const socket = connectTcp({ port: plan.proxyPort ?? plan.originPort, host: '127.0.0.1', noDelay: true });
  socket.on('error', (error) => failed(`socket: ${error.message}`));
  socket.once('connect', () => {
    if (plan.scheme === 'http') ready(socket);
    else if (plan.proxyPort === undefined) secure(socket, plan, ready, failed);
    else tunnel(socket, plan, ready, failed);
  });
  return socket;
};

/** A connection that is made at its first request and again whenever the last answer closed it. */
export const connectThrough = (plan: LoadPlan, page: Buffer): Connection => {
  const bytes = requestBytes(plan);
  let raw: Socket | undefined;
  let socket: Socket | undefined;
  let reader: Reader | undefined;
  let waiting: ((error?: string) => void) | undefined;
  let deadline: NodeJS.Timeout | undefined;

  const drop = (): void => {
    clearTimeout(deadline);
    const old = socket ?? raw;
    raw = undefined;
    socket = undefined;
    reader = undefined;
    old?.removeAllListeners('data');
    old?.on('error', () => undefined);
    old?.destroy();
  };

  const settle = (error?: string): void => {
    const done = waiting;
    waiting = undefined;
    if (error !== undefined) drop();
    done?.(error);
  };

  const failed = (mine: Socket | undefined, why: string): void => {
    if (mine !== raw) return;
    if (waiting) settle(why);
    else drop();
  };

  const opened = (mine: Socket | undefined, ready: Socket): void => {
    if (mine !== raw) return;
    const read = createReader(page, {
      answered: ({ last }) => {
        if (last || plan.fresh) drop();
        settle();
      },
      failed: (why) => failed(mine, why),
    });
    socket = ready;
    reader = read;
    ready.on('data', read.feed);
    ready.once('end', () => {
      read.end();
      failed(mine, 'the connection ended before the answer');
    });
    ready.write(bytes);
  };

  const start = (): void => {
    let mine: Socket | undefined;
    const made = dial(
      plan,
      (ready) => opened(mine, ready),
      (why) => failed(mine, why),
    );
    mine = made;
    raw = made;
    deadline = setTimeout(() => failed(made, 'no answer in time'), ANSWER_MS);
    deadline.unref();
  };

  return {
    request(done) {
      waiting = done;
      if (socket && reader) {
        deadline?.refresh();
        socket.write(bytes);
      } else {
        start();
      }
    },
    close: drop,
  };
};
