/**
 * Joins a client with its target after a 101: bytes both ways, untouched, until either has gone or both are silent (T-18). So
 * long it is one request in flight: its seat is held (L-01) and its session cannot expire (S-11).
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Gone } from '../model/errors.ts';
import type { Clock, Delivery, Timer } from '../pipeline/ports.ts';
import { linger } from './link.ts';

/** Without a byte either way. */
const IDLE_MS = 600_000;

/** What a client that has ended its side may still be sent by its target. */
const FAREWELL_MS = 2_000;

/**
 * `early`: what the client had sent before the 101. A side that ends, ends the other: a target at once, a client when it has
 * been given what came before. There is no half-open WebSocket, so nothing waits longer than the farewell. A side that takes
 * nothing stops the other from being read. Resolves when the target is closed and the client has everything, or is gone.
 */
export const splice = (client: Socket, target: Duplex, early: readonly Buffer[], clock: Clock): Promise<Delivery> =>
  new Promise((resolve) => {
    let bytes = 0;
    let lastAt = clock.now();
    let failure: Error | undefined;
    let farewell: Timer | undefined;

    const check = (): void => {
      const leftMs = lastAt + IDLE_MS - clock.now();
      if (leftMs > 0) {
        idle = clock.after(leftMs, check);
        return;
      }
      failure ??= new Error('idle for 10 minutes');
      target.destroy();
      client.destroy();
    };
    let idle = clock.after(IDLE_MS, check);
    const finish = (): void => {
      idle.cancel();
      farewell?.cancel();
      resolve({ bytes, failure });
    };

    const onward = (chunk: Buffer): void => {
      lastAt = clock.now();
      if (!target.write(chunk)) client.pause();
    };
    const back = (chunk: Buffer): void => {
      lastAt = clock.now();
      bytes += chunk.length;
      if (!client.write(chunk)) target.pause();
    };
    const clientEnded = (): void => {
      target.end();
      farewell = clock.after(FAREWELL_MS, () => target.destroy());
    };
    const clientGone = (): void => {
      if (!client.readableEnded) failure ??= new Gone();
      target.destroy();
      finish();
    };
    /** The target has said its last word, and hears none. */
    const targetGone = (): void => {
      client.off('data', onward).off('end', clientEnded);
      linger(client);
      if (client.writableFinished || client.destroyed) finish();
      else client.once('finish', finish);
    };

    client.on('data', onward).on('drain', () => target.resume());
    client.once('end', clientEnded).once('close', clientGone);
    target.on('data', back).on('drain', () => client.resume());
    target.on('error', (error) => {
      failure ??= error;
    });
    target.once('end', () => target.destroy()).once('close', targetGone);

    for (const chunk of early) onward(chunk);
    if (client.destroyed) clientGone();
    else if (target.destroyed) targetGone();
    else {
      client.resume();
      target.resume();
    }
  });
