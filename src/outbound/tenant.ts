/** Who has a connection for the moment: the exchange until the head, then the response's body. */
export interface Tenant {
  received(chunk: Buffer): void;
  /** The peer closed, or the socket failed with `error`. The connection is destroyed afterwards. */
  closed(error: Error): void;
  /** The socket takes bytes again. */
  drained(): void;
  /** The deadline passed. */
  late(): void;
  /** Ends it here and now; the connection goes with it. */
  fail(error: Error): void;
}

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
