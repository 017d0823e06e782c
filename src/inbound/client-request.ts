/** A request as the front sees it, whichever connection it came by. */
import type { Socket } from 'node:net';
import type { RequestBody } from './request-body.ts';
import type { RequestHead } from './request-head.ts';

export interface ClientRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly socket: Socket;
  /** Its body has been read to the end. */
  readonly complete: boolean;
}

/** A class: one is made for every request. */
export class Asked implements ClientRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly socket: Socket;
  private readonly body: RequestBody | undefined;

  constructor({ method, url, httpVersion, rawHeaders }: RequestHead, socket: Socket, body: RequestBody | undefined) {
    this.method = method;
    this.url = url;
    this.httpVersion = httpVersion;
    this.rawHeaders = rawHeaders;
    this.socket = socket;
    this.body = body;
  }

  get complete(): boolean {
    return this.body === undefined || this.body.complete;
  }
}
