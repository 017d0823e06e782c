/** One socket after its dialling: hands what happens on it to the tenant it has, or dies when idle. */
import type { Socket } from 'node:net';
import type { Clock } from '../pipeline/ports.ts';
import { Deadline, type Ticks } from './deadline.ts';
import type { Dialled } from './dial.ts';
import { ClosedEarly } from './faults.ts';
import { ResponseParser } from './response-parser.ts';
import type { Tenant } from './tenant.ts';

/** Where connections live between exchanges. */
export interface Shelter {
  give(connection: Connection): void;
  forget(connection: Connection): void;
}

export interface ConnectionParts {
  readonly clock: Clock;
  readonly ticks: Ticks;
  readonly shelter: Shelter;
  readonly maxHeadBytes: number;
}

/** A class: one object holds the state of every request that runs here, and no request costs a closure. */
export class Connection {
  readonly socket: Socket;
  readonly exit: string;
  /** `undefined` = used once. */
  readonly key: string | undefined;
  readonly parser: ResponseParser;
  readonly deadline: Deadline;
  tenant: Tenant | undefined;
  /** While idle: since when, when it is too old to be used again (both in ticks), and what the peer allows. */
  idleSince = 0;
  idleUntil = 0;
  keepAliveMs: number | undefined;
  /** Responses read to their end. */
  served = 0;
  private readonly shelter: Shelter;

  constructor({ socket, exit }: Dialled, key: string | undefined, parts: ConnectionParts) {
    this.socket = socket;
    this.exit = exit;
    this.key = key;
    this.shelter = parts.shelter;
    this.parser = new ResponseParser(parts.maxHeadBytes);
    this.deadline = new Deadline(parts.clock, parts.ticks, () => this.tenant?.late());
    socket.on('data', this.data);
    socket.on('end', this.ended);
    socket.on('error', this.failed);
    socket.on('close', this.gone);
    socket.on('drain', this.drain);
    socket.resume();
  }

  /** Its tenant has left and the peer expects another. */
  free(keepAliveMs: number | undefined, paused: boolean): void {
    if (this.key === undefined || this.socket.destroyed || this.socket.readableEnded) {
      this.destroy();
      return;
    }
    this.keepAliveMs = keepAliveMs;
    this.served++;
    this.deadline.lift();
    // An idle socket must go on reading, or its close would go unnoticed.
    if (paused) this.socket.resume();
    this.shelter.give(this);
  }

  /** Its protocol changed: the socket goes to an owner of its own, and only its end is still noticed here. */
  handOut(): Socket {
    const { socket, parser } = this;
    this.tenant = undefined;
    this.deadline.close();
    socket.off('data', this.data).off('end', this.ended).off('drain', this.drain);
    socket.pause();
    if (parser.rest.length > 0) socket.unshift(parser.rest);
    return socket;
  }

  destroy(): void {
    this.deadline.close();
    this.shelter.forget(this);
    this.socket.destroy();
  }

  /** The stop's listener, the same for every exchange. */
  readonly stopped = (reason: Error): void => {
    this.tenant?.fail(reason);
  };

  private readonly data = (chunk: Buffer): void => {
    if (this.tenant) this.tenant.received(chunk);
    else this.destroy();
  };

  private readonly ended = (): void => this.end(new ClosedEarly());

  private readonly failed = (error: Error): void => this.end(error);

  private readonly gone = (): void => this.end(new ClosedEarly());

  private readonly drain = (): void => {
    this.tenant?.drained();
  };

  private end(error: Error): void {
    this.tenant?.closed(error);
    this.destroy();
  }
}
