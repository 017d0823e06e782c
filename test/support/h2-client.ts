/** An HTTP/2 client inside a tunnel: node:http2 for the well-behaved, bare frames for the others. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { AUTH, openTunnel } from './client.ts';
import type { RunningProxy } from './proxy.ts';

export interface H2Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Names and values in order, pseudo headers too. */
  readonly raw: readonly string[];
  readonly body: string;
  /** Code of the reset that ended the stream; 0 = it ended by itself. */
  readonly reset: number;
}

/** The decrypted inside of a tunnel, with what ALPN agreed on. */
export const openAlpn = async (
  proxy: RunningProxy,
  authority: string,
  alpn: readonly string[],
  more = AUTH,
): Promise<TLSSocket> => {
  const line = await openTunnel(proxy, authority, more);
  line.socket.removeAllListeners('data');
  const servername = authority.replace(/:\d+$/, '');
  const secure = connectTls({ socket: line.socket, ca: proxy.caPem, servername, ALPNProtocols: [...alpn] });
  secure.on('error', () => {});
  await once(secure, 'secureConnect');
  onTestFinished(() => void secure.destroy());
  return secure;
};

export const openH2 = async (proxy: RunningProxy, authority: string, more = AUTH): Promise<ClientHttp2Session> => {
  const secure = await openAlpn(proxy, authority, ['h2', 'http/1.1'], more);
  if (secure.alpnProtocol !== 'h2') throw new Error(`ALPN agreed on ${secure.alpnProtocol}`);
  const session = connect(`https://${authority}`, {
    createConnection: () => secure,
    maxSendHeaderBlockLength: 1_000_000,
  });
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  return session;
};

/** Resolves when the stream is closed, however that came about. */
export const answerOf = (stream: ClientHttp2Stream): Promise<H2Answer> =>
  new Promise((resolve, reject) => {
    let status = 0;
    let headers: H2Answer['headers'] = {};
    let raw: readonly string[] = [];
    let body = '';
    const timer = setTimeout(() => reject(new Error(`no answer in time: ${status} ${body.slice(0, 100)}`)), 10_000);
    stream.on('response', (...args: readonly unknown[]) => {
      const [got, , list] = args as [Record<string, string> & { ':status': number }, number, string[] | undefined];
      status = got[':status'];
      headers = got;
      raw = list ?? [];
    });
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1');
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      clearTimeout(timer);
      resolve({ status, headers, raw, body, reset: stream.rstCode });
    });
  });

/** One request of a session. */
export const ask = (
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<H2Answer> => {
  const stream = session.request({ ':path': path, ...headers }, { endStream: body === undefined });
  const answer = answerOf(stream);
  if (body !== undefined) stream.end(body);
  return answer;
};

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A frame as it stands on the wire. */
export const frame = (type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer => {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
};

/** Fields as HPACK literals without indexing and without Huffman coding. */
export const literals = (fields: readonly (readonly [string, string])[]): Buffer => {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, 'latin1');
    if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
    const length = [127];
    let rest = bytes.length - 127;
    while (rest >= 128) {
      length.push((rest & 127) | 128);
      rest >>= 7;
    }
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
};

export const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8, continuation: 9 };
export const END_STREAM = 1;
export const END_HEADERS = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawH2 {
  readonly socket: TLSSocket;
  /** Every frame that came. */
  readonly frames: Frame[];
  readonly ended: () => boolean;
  send(...frames: readonly Buffer[]): void;
}

/** A client that says what it likes, its preface and SETTINGS said already. */
export const openRaw = async (proxy: RunningProxy, authority: string): Promise<RawH2> => {
  const socket = await openAlpn(proxy, authority, ['h2']);
  const frames: Frame[] = [];
  let text = Buffer.alloc(0);
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    text = Buffer.concat([text, chunk]);
    while (text.length >= 9 && text.length >= 9 + text.readUIntBE(0, 3)) {
      const size = text.readUIntBE(0, 3);
      const [type = 0, flags = 0] = [text[3], text[4]];
      frames.push({ type, flags, stream: text.readUInt32BE(5), payload: text.subarray(9, 9 + size) });
      text = text.subarray(9 + size);
    }
  });
  const end = (): void => {
    ended = true;
  };
  socket.on('end', end);
  socket.on('close', end);
  socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0)]));
  return {
    socket,
    frames,
    ended: () => ended,
    send: (...all) => {
      if (!socket.destroyed) socket.write(Buffer.concat(all));
    },
  };
};
