/** A client's request body as a push source. */
import type { Readable } from 'node:stream';
import { Gone } from '../model/errors.ts';
import type { BodySource } from '../pipeline/ports.ts';

/**
 * Nothing is read before `start`, so a body that nobody wants yet stays with the client. `onStart` runs at that moment:
 * it is when `100 Continue` is due (T-17).
 */
export const clientBody = (request: Readable, onStart: (() => void) | undefined): BodySource => ({
  start(sink) {
    onStart?.();
    request.on('data', (chunk: Buffer) => {
      if (!sink.write(chunk)) request.pause();
    });
    request.on('end', () => sink.end());
    request.on('error', () => sink.fail(new Gone('client left while sending its body')));
  },
  resume() {
    request.resume();
  },
  abort() {
    request.removeAllListeners('data');
    // Bytes still on their way must not be mistaken for the next request: they are read and dropped.
    request.resume();
  },
});
