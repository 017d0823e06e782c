/** Opens the connection a route asks for: TCP, the upstream's own steps, the tunnel, TLS to the target. */
import { isIP, type Socket } from 'node:net';
import { Fault } from '../model/errors.ts';
import { openTunnel } from './connect.ts';
import { targetFault, targetTlsFault, upstreamFault } from './faults.ts';
import type { Lifeline } from './lifeline.ts';
import type { Address, Resolver } from './resolve.ts';
import { hostAndPort, type Route } from './route.ts';
import { greetSocks, openSocks } from './socks.ts';
import { openTcp } from './steps.ts';
import type { Tls } from './tls.ts';

export interface Dialled {
  readonly socket: Socket;
  /** `ip:port` for `X-Crawlera-Slave`. */
  readonly exit: string;
}

export type JudgeAddress = (ip: string, host: string, port: number) => boolean;

export interface DialParts {
  readonly resolver: Resolver;
  readonly tls: Tls;
  readonly judgeAddress: JudgeAddress;
  /** For the upstream's own steps. */
  readonly connectMs: number;
}

export type Dial = (line: Lifeline, route: Route) => Promise<Dialled>;

const lookUp = (
  line: Lifeline,
  resolver: Resolver,
  host: string,
  explain: (error: unknown) => Error,
): Promise<readonly Address[]> =>
  line.step<readonly Address[]>(explain, (done, fail) => {
    resolver.resolve(host, (error, addresses) => (error ? fail(error) : done(addresses)));
    return undefined;
  });

/** How long one address of several may keep silent before the next is tried. */
const PATIENCE_MS = 2_000;

/** Tries one address after the other; the first failure is the telling one, unless the line was cut. */
const openFirst = async (
  line: Lifeline,
  addresses: readonly Address[],
  port: number,
  localAddress: string | undefined,
  explain: (error: unknown) => Error,
): Promise<Socket> => {
  let failure: unknown;
  let left = addresses.length;
  for (const { address, family } of addresses) {
    const timeout = --left > 0 ? { timeout: PATIENCE_MS } : undefined;
    const options = { host: address, family, port, ...timeout, ...(localAddress && { localAddress }) };
    try {
      return await openTcp(line, options, explain);
    } catch (error) {
      if (line.broken) throw line.broken;
      failure ??= error;
    }
  }
  throw failure;
};

/** The addresses that may be dialled from here: judged one by one, so that the address judged is the one dialled (D03). */
const permitted = (addresses: readonly Address[], route: Route, judge: JudgeAddress): readonly Address[] => {
  const { target, upstream } = route;
  const allowed = addresses.filter(({ address }) => judge(address, target.host, target.port));
  if (allowed.length === 0) throw new Fault('domain_forbidden', { reason: 'address not permitted' });
  const from = upstream.localAddress === undefined ? 0 : isIP(upstream.localAddress);
  const reachable = from === 0 ? allowed : allowed.filter(({ family }) => family === from);
  if (reachable.length === 0) throw new Fault('ehostunreach', { reason: 'no address of the source family' });
  return reachable;
};

const localExit = (socket: Socket): string => hostAndPort(socket.localAddress ?? '0.0.0.0', 0);

export const makeDial = ({ resolver, tls, judgeAddress, connectMs }: DialParts): Dial => {
  const openDirect = async (line: Lifeline, route: Route): Promise<Socket> => {
    const { target, upstream } = route;
    const found = await lookUp(line, resolver, target.host, (error) => targetFault('DNS', error));
    const addresses = permitted(found, route, judgeAddress);
    return openFirst(line, addresses, target.port, upstream.localAddress, (error) => targetFault('TCP', error));
  };

  /** Everything A-04 counts as the upstream itself, within `connectMs`. */
  const reachUpstream = async (line: Lifeline, route: Route): Promise<Socket> => {
    const { upstream } = route;
    line.limit(connectMs, () => upstreamFault('connect', 'not ready in time'));
    const addresses = await lookUp(line, resolver, route.host, (error) => upstreamFault('DNS', error));
    const explain = (error: unknown): Fault => upstreamFault('TCP', error);
    let socket = await openFirst(line, addresses, upstream.port, undefined, explain);
    if (upstream.kind === 'https') {
      const sessionKey = upstream.rotating ? undefined : `upstream ${upstream.id}`;
      const failed = (error: unknown): Fault => upstreamFault('TLS', error);
      socket = await tls.secure(line, socket, { host: route.host, verify: true, sessionKey, explain: failed });
    }
    if (upstream.kind === 'socks5') await greetSocks(line, socket, route);
    line.limit(undefined, () => upstreamFault('connect', 'not ready in time'));
    return socket;
  };

  const openThrough = async (line: Lifeline, route: Route): Promise<Socket> => {
    const socket = await reachUpstream(line, route);
    if (route.upstream.kind === 'socks5') await openSocks(line, socket, route);
    else if (!route.forwarded) await openTunnel(line, socket, route);
    return socket;
  };

  return async (line, route) => {
    const { upstream, target } = route;
    const socket = upstream.kind === 'direct' ? await openDirect(line, route) : await openThrough(line, route);
    const exit = upstream.label ?? localExit(socket);
    line.exit = exit;
    if (target.scheme === 'http') return { socket, exit };
    const secured = await tls.secure(line, socket, {
      host: route.servername ?? target.host,
      verify: !route.insecureTarget,
      sessionKey: route.key,
      explain: targetTlsFault,
    });
    return { socket: secured, exit };
  };
};
