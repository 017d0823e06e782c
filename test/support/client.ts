/** Clients that speak to a proxy byte by byte: what is sent is given, what comes back is kept whole. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { KEY, type RunningProxy } from './proxy.ts';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Names as sent. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** False when fewer bytes came than were announced, or the last chunk is missing (E-10). */
  readonly complete: boolean;
  /** Everything received, head included. */
  readonly raw: string;
  header(name: string): string | undefined;
}

export const basic = (user: string, password = ''): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** The line most requests need. */
export const AUTH = `Proxy-Authorization: ${basic(KEY)}\r\n`;

const DEADLINE_MS = 10_000;

interface Parsed {
  readonly answer: Answer;
  readonly used: number;
}

const dechunk = (text: string): { body: string; used: number } | { body: string; used: undefined } => {
  let at = 0;
  let body = '';
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return { body, used: undefined };
    const size = Number.parseInt(text.slice(at, end), 16);
    if (text.length < end + 4 + size) return { body: body + text.slice(end + 2), used: undefined };
    if (size === 0) return { body, used: end + 4 };
    body += text.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
};

/** `undefined` while more bytes are needed. `ended`: no more will come. */
const parse = (text: string, method: string, ended: boolean): Parsed | undefined => {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const match = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(first);
  if (!match) throw new Error(`no status line: ${JSON.stringify(first)}`);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const header = (name: string): string | undefined =>
    headers.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1];
  const status = Number(match[1]);
  const rest = text.slice(end + 4);
  const make = (body: string, complete: boolean, used: number): Parsed => ({
    answer: { status, reason: match[2] ?? '', headers, body, complete, raw: text.slice(0, end + 4 + used), header },
    used: end + 4 + used,
  });
  const bodyless = method === 'HEAD' || method === 'CONNECT' || status === 204 || status === 304 || status < 200;
  if (bodyless) return make('', true, 0);
  if (header('transfer-encoding') === 'chunked') {
    const { body, used } = dechunk(rest);
    if (used !== undefined) return make(body, true, used);
    return ended ? make(body, false, rest.length) : undefined;
  }
  const length = header('content-length');
  if (length === undefined) return ended ? make(rest, true, rest.length) : undefined;
  const size = Number(length);
  if (rest.length >= size) return make(rest.slice(0, size), true, size);
  return ended ? make(rest, false, rest.length) : undefined;
};

export interface Line {
  readonly socket: Socket;
  write(text: string | Buffer): void;
  /** The next answer on this connection; `method` as it was asked. Rejects after 10 s, or when the connection ends before a head. */
  read(method?: string): Promise<Answer>;
  /** Bytes received that belong to no answer read so far. */
  rest(): string;
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
  /** A request and its answer. */
  ask(text: string): Promise<Answer>;
}

const methodOf = (text: string): string => /^\s*([A-Z]+) /.exec(text)?.[1] ?? 'GET';

export const lineOn = (socket: Socket): Line => {
  let text = '';
  let ended = false;
  let wake: (() => void) | undefined;
  const note = (): void => wake?.();
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    note();
  });
  const finish = (): void => {
    ended = true;
    note();
  };
  socket.on('end', finish);
  socket.on('close', finish);
  socket.on('error', finish);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const take = (method: string): Answer | undefined => {
    const parsed = parse(text, method, ended);
    if (!parsed) return undefined;
    text = text.slice(parsed.used);
    return parsed.answer;
  };
  const read = (method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(new Error(`no answer in time: ${JSON.stringify(text)}`)), DEADLINE_MS);
      const settle = (result: Answer | Error): void => {
        clearTimeout(timer);
        wake = undefined;
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const look = (): void => {
        try {
          const answer = take(method);
          if (answer) settle(answer);
          else if (ended) settle(new Error(`closed without an answer: ${JSON.stringify(text)}`));
        } catch (error) {
          settle(error as Error);
        }
      };
      wake = look;
      look();
    });
  const write = (bytes: string | Buffer): void => {
    if (typeof bytes === 'string') socket.write(bytes, 'latin1');
    else socket.write(bytes);
  };
  return {
    socket,
    write,
    read,
    rest: () => text,
    closed,
    ask(request) {
      write(request);
      return read(methodOf(request));
    },
  };
};

export const openLine = async (port: number, host = '127.0.0.1'): Promise<Line> => {
  const socket = connect({ port, host });
  await once(socket, 'connect');
  return lineOn(socket);
};

/** A CONNECT and what it was answered; the line goes on as the tunnel's inside. */
export const openTunnel = async (proxy: RunningProxy, authority: string, more = AUTH): Promise<Line> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`);
  if (answer.status !== 200) throw new Error(`CONNECT was answered ${answer.status}`);
  return line;
};

/** A tunnel with TLS inside, trusting nothing but the proxy's own CA. */
export const openSecure = async (
  proxy: RunningProxy,
  authority: string,
  options: { more?: string; servername?: string } = {},
): Promise<Line & { readonly socket: TLSSocket }> => {
  const line = await openTunnel(proxy, authority, options.more ?? AUTH);
  line.socket.removeAllListeners('data');
  const host = authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const isName = !/^[\d.]+$|:/.test(host);
  const servername = options.servername ?? (isName ? host : undefined);
  const secure = connectTls({
    socket: line.socket,
    ca: proxy.caPem,
    host,
    ...(servername === undefined ? {} : { servername }),
  });
  await once(secure, 'secureConnect');
  return lineOn(secure) as Line & { readonly socket: TLSSocket };
};

/** One request on a connection of its own; `more` = header lines, each ending in CRLF. */
export const get = async (proxy: RunningProxy, url: string, more = '', method = 'GET'): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const host = /^\w+:\/\/([^/?#]*)/.exec(url)?.[1] ?? '';
  const answer = await line.ask(`${method} ${url} HTTP/1.1\r\nHost: ${host}\r\n${AUTH}${more}\r\n`);
  line.socket.destroy();
  return answer;
};

/** One call of a direct endpoint. */
export const call = async (proxy: RunningProxy, method: string, path: string, more = ''): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${proxy.port}\r\nAuthorization: ${basic(KEY)}\r\n${more}\r\n`,
  );
  line.socket.destroy();
  return answer;
};
