/** What this proxy knows of a client's connection: the tunnel it is in and the requests running on it. */
import type { Socket } from 'node:net';
import { Gone } from '../model/errors.ts';
import type { Tunnel } from '../model/job.ts';
import type { StopButton } from '../pipeline/stop.ts';

export interface Link {
  /** The CONNECT this connection is inside of. */
  readonly tunnel: Tunnel | undefined;
  /** TLS was terminated here: inner requests are https. */
  readonly secure: boolean;
  /** Server name the client asked for when it differs from the CONNECT host. */
  readonly servername: string | undefined;
  /** Address of the client, for the log and for slowing down guesses of keys. */
  readonly remote: string;
  /** Something malformed came: no request behind it is served, and the connection closes after the answers before it. */
  closing: boolean;
  /** TLS runs on this connection: requests are on the link of its inside. */
  delegated: boolean;
  /** Stop buttons of the requests running now: one, or several when the client pipelines. */
  readonly running: Set<StopButton>;
  /** The request that arrived last: bytes that are no request belong to its body while that is incomplete. */
  last: { readonly request: { readonly complete: boolean }; readonly stop: StopButton } | undefined;
}

const links = new WeakMap<Socket, Link>();

/** Joins a connection to its link and stops its requests when it closes (T-19). Called once a connection. */
export const attachLink = (
  socket: Socket,
  tunnel: Tunnel | undefined,
  secure: boolean,
  servername: string | undefined,
): Link => {
  const link: Link = {
    tunnel,
    secure,
    servername,
    // Asked of the kernel only when somebody wants it: most connections need no one to know.
    get remote() {
      return socket.remoteAddress ?? '';
    },
    closing: false,
    delegated: false,
    running: new Set(),
    last: undefined,
  };
  links.set(socket, link);
  const leave = (): void => {
    for (const stop of link.running) stop.press(new Gone());
  };
  // A client that ends its side has left: a crawler that gives up closes its socket and that is all that is seen of it.
  socket.once('end', leave);
  socket.once('close', leave);
  return link;
};

export const linkOf = (socket: Socket): Link => {
  const link = links.get(socket);
  if (!link) throw new Error('a connection without link');
  return link;
};

export const delegateLink = (socket: Socket): void => {
  linkOf(socket).delegated = true;
};

/** Nothing runs on it: it may be closed without cutting anybody's answer. */
export const isIdle = (socket: Socket): boolean => {
  const link = links.get(socket);
  return link === undefined || (!link.delegated && link.running.size === 0);
};

/** A client that takes nothing for this long has given up without saying so (robustness G01). */
export const CLIENT_STALL_MS = 600_000;

/** How long a client may take to close its side after its last answer was written. */
const LINGER_MS = 2_000;

/**
 * Ends our side and drops what still comes until the client has closed too. Closing at once with bytes unread would make
 * the kernel send a reset, which takes the answer away from a client that has not read it yet.
 */
export const linger = (socket: Socket): void => {
  linkOf(socket).closing = true;
  if (socket.destroyed || socket.writableEnded) return;
  const giveUp = (): unknown => socket.destroy();
  let deadline = setTimeout(giveUp, CLIENT_STALL_MS);
  socket.once('close', () => clearTimeout(deadline));
  socket.end(() => {
    clearTimeout(deadline);
    if (!socket.destroyed) deadline = setTimeout(giveUp, LINGER_MS);
  });
  socket.resume();
};
