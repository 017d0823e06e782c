/** Upstream proxies for tests: http, https and SOCKS5, with or without credentials, recording what they saw. */
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Upstream } from '../../src/model/job.ts';
import type { TestCertificate } from './certificates.ts';
import { type Listening, listen } from './sockets.ts';

export interface UpstreamOptions {
  readonly kind: 'http' | 'https' | 'socks5';
  readonly username?: string;
  readonly password?: string;
  /** For https. */
  readonly certificate?: TestCertificate;
}

/**
 * Misbehaviour. For http(s): `reply` stands for the head of the answer to CONNECT or to a plain request (then closed unless
 * `tunnelAfter`); for SOCKS: raw bytes after so many client messages.
 */
export interface Misbehaviour {
  /** Accept and say nothing. */
  readonly silent?: boolean;
  /** RST or FIN instead of the reply to a CONNECT, SOCKS request or plain request. */
  readonly cut?: 'reset' | 'close';
  /** Written instead of the reply. */
  readonly reply?: string | Buffer;
  /** The reply a byte at a time. */
  readonly trickle?: boolean;
  /** After `reply` the tunnel is opened all the same. */
  readonly tunnelAfter?: boolean;
  /** SOCKS: written instead of the answer to the greeting. */
  readonly greeting?: Buffer;
}

export interface TestUpstream extends Listening {
  /** Heads of CONNECT and plain requests, or `host:port` for SOCKS, with its address type. */
  readonly seen: string[];
  /** `user:password` per connection that logged in. */
  readonly logins: string[];
  misbehaviour: Misbehaviour;
  /** As the model has it, credentials included. */
  readonly model: Upstream;
}

/** Each goes with the other. */
const tie = (client: Socket, server: Socket): void => {
  const end = (): void => {
    client.destroy();
    server.destroy();
  };
  client.on('close', end).on('error', end);
  server.on('close', end).on('error', end);
};

const bridge = (client: Socket, server: Socket): void => {
  client.pipe(server).pipe(client);
  tie(client, server);
};

/** Test names live on loopback whatever the machine's resolver thinks. */
const dialHost = (host: string): string => (host.endsWith('localhost') ? '127.0.0.1' : host.replace(/^\[|\]$/g, ''));

const writeReply = async (socket: Socket, how: Misbehaviour): Promise<void> => {
  const bytes = typeof how.reply === 'string' ? Buffer.from(how.reply, 'latin1') : (how.reply ?? Buffer.alloc(0));
  if (!how.trickle) {
    socket.write(bytes);
    return;
  }
  for (const byte of bytes) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
};

/** True when the misbehaviour has taken the reply over. */
const misbehave = (socket: Socket, how: Misbehaviour, goOn: () => void): boolean => {
  if (how.cut) {
    if (how.cut === 'reset') socket.resetAndDestroy();
    else socket.end();
    return true;
  }
  if (how.reply === undefined) return false;
  void writeReply(socket, how).then(() => (how.tunnelAfter ? goOn() : undefined));
  return true;
};

interface Session {
  readonly socket: Socket;
  readonly upstream: TestUpstream;
  readonly expected: string | undefined;
}

const httpTunnel = ({ socket, upstream }: Session, authority: string, rest: Buffer): void => {
  const open = (greet: boolean): void => {
    const colon = authority.lastIndexOf(':');
    const server = connect(Number(authority.slice(colon + 1)), dialHost(authority.slice(0, colon)));
    server.on('connect', () => {
      if (greet) socket.write('HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n');
      if (rest.length > 0) server.write(rest);
      bridge(socket, server);
    });
    server.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
    socket.on('close', () => server.destroy());
  };
  if (!misbehave(socket, upstream.misbehaviour, () => open(false))) open(true);
};

const loginIn = (head: string): string | undefined => {
  const given = /\r\nproxy-authorization: basic (\S+)/i.exec(head)?.[1];
  return given === undefined ? undefined : Buffer.from(given, 'base64').toString();
};

const note = ({ upstream }: Session, head: string): string | undefined => {
  const login = loginIn(head);
  upstream.seen.push(head);
  if (login !== undefined) upstream.logins.push(login);
  return login;
};

/** The request as the target is to see it. */
const asOrigin = (bytes: Buffer): Buffer =>
  Buffer.from(
    bytes
      .toString('latin1')
      .replace(/^(\S+) http:\/\/[^/ ]+/, '$1 ')
      .replace(/^(\S+) {2}/, '$1 ')
      .replace(/\r\nproxy-authorization:[^\r]*/i, ''),
    'latin1',
  );

/** All requests of a connection go to the target of the first: pools never mix targets. A head comes in one piece. */
const httpForward = (session: Session, head: string, rest: Buffer): void => {
  const { socket, upstream } = session;
  if (misbehave(socket, upstream.misbehaviour, () => {})) return;
  const url = new URL(/^\S+ (\S+)/.exec(head)?.[1] ?? '');
  const server = connect(Number(url.port || 80), dialHost(url.hostname));
  server.on('connect', () => {
    server.write(asOrigin(Buffer.concat([Buffer.from(head, 'latin1'), rest])));
    socket.on('data', (bytes: Buffer) => {
      const again = /^[A-Z]+ http:\/\/.*?\r\n\r\n/s.exec(bytes.toString('latin1'))?.[0];
      if (again !== undefined) note(session, again);
      server.write(again === undefined ? bytes : asOrigin(bytes));
    });
    socket.resume();
    server.pipe(socket);
    tie(socket, server);
  });
  server.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
};

const serveHttp = (session: Session): void => {
  const { socket, expected } = session;
  let received = Buffer.alloc(0);
  const data = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\r\n\r\n');
    if (end === -1) return;
    socket.off('data', data);
    socket.pause();
    const head = received.toString('latin1', 0, end + 4);
    const rest = received.subarray(end + 4);
    const login = note(session, head);
    if (expected !== undefined && login !== expected) {
      socket.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="up"\r\nContent-Length: 0\r\n\r\n',
      );
      return;
    }
    const authority = /^CONNECT (\S+)/.exec(head)?.[1];
    if (authority !== undefined) httpTunnel(session, authority, rest);
    else httpForward(session, head, rest);
  };
  socket.on('data', data);
};

const formatV6 = (bytes: Buffer): string =>
  Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');

const readAddress = (bytes: Buffer): { host: string; type: number; used: number } => {
  const type = bytes[3] as number;
  if (type === 1) return { host: [...bytes.subarray(4, 8)].join('.'), type, used: 8 };
  if (type === 4) return { host: formatV6(bytes.subarray(4, 20)), type, used: 20 };
  const length = bytes[4] as number;
  return { host: bytes.toString('latin1', 5, 5 + length), type, used: 5 + length };
};

const socksRequest = ({ socket, upstream }: Session, bytes: Buffer): void => {
  const { host, type, used } = readAddress(bytes);
  const port = bytes.readUInt16BE(used);
  upstream.seen.push(`${type} ${host}:${port}`);
  const open = (greet: boolean): void => {
    const server = connect(port, dialHost(host));
    server.on('connect', () => {
      if (greet) socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
      bridge(socket, server);
    });
    server.on('error', () => socket.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])));
  };
  if (!misbehave(socket, upstream.misbehaviour, () => open(false))) open(true);
};

const serveSocks = (session: Session): void => {
  const { socket, upstream, expected } = session;
  let next: (bytes: Buffer) => void = () => {};
  const request = (bytes: Buffer): void => {
    socket.removeAllListeners('data');
    socket.pause();
    socksRequest(session, bytes);
  };
  const login = (bytes: Buffer): void => {
    const nameLength = bytes[1] as number;
    const given = `${bytes.toString('utf8', 2, 2 + nameLength)}:${bytes.toString('utf8', 3 + nameLength)}`;
    upstream.logins.push(given);
    next = request;
    if (given === expected) socket.write(Buffer.from([1, 0]));
    else socket.end(Buffer.from([1, 1]));
  };
  const greeting = (bytes: Buffer): void => {
    const wanted = expected === undefined ? 0 : 2;
    next = wanted === 2 ? login : request;
    if (upstream.misbehaviour.greeting) socket.write(upstream.misbehaviour.greeting);
    else if (bytes.subarray(2, 2 + (bytes[1] as number)).includes(wanted)) socket.write(Buffer.from([5, wanted]));
    else socket.end(Buffer.from([5, 255]));
  };
  next = greeting;
  socket.on('data', (bytes: Buffer) => next(bytes));
};

let made = 0;

export const makeUpstream = async (options: UpstreamOptions): Promise<TestUpstream> => {
  const { kind, username, password, certificate } = options;
  const expected = username === undefined ? undefined : `${username}:${password ?? ''}`;
  const serve = (socket: Socket): void => {
    socket.on('error', () => {});
    if (upstream.misbehaviour.silent) {
      socket.resume();
      return;
    }
    const session = { socket, upstream, expected };
    if (kind === 'socks5') serveSocks(session);
    else serveHttp(session);
  };
  const server =
    kind === 'https'
      ? createTlsServer({ cert: certificate?.cert ?? '', key: certificate?.key ?? '' }, serve)
      : createServer(serve);
  server.on('tlsClientError', () => {});
  const listening = await listen(server);
  const upstream: TestUpstream = {
    ...listening,
    seen: [],
    logins: [],
    misbehaviour: {},
    model: {
      id: `${kind}-${++made}`,
      kind,
      host: kind === 'https' ? 'proxy.localhost' : '127.0.0.1',
      port: listening.port,
      username,
      password,
      localAddress: undefined,
      region: undefined,
      weight: 1,
      rotating: false,
      label: `127.0.0.1:${listening.port}`,
    },
  };
  return upstream;
};

/** A direct exit, as the model has it. */
export const directExit = (localAddress?: string): Upstream => ({
  id: `direct-${localAddress ?? ''}`,
  kind: 'direct',
  host: '',
  port: 0,
  username: undefined,
  password: undefined,
  localAddress,
  region: undefined,
  weight: 1,
  rotating: false,
  label: undefined,
});
