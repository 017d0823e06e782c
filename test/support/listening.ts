/** A listener of the proxy alone, with hooks of the test's own. */
import type { Answer } from '../../src/inbound/answer.ts';
import { attachLink, isIdle } from '../../src/inbound/link.ts';
import { type Hooks, type Listener, type ListenerOptions, makeListener } from '../../src/inbound/listener.ts';
import { realClock } from '../../src/store/clock.ts';

export const sendOk = (answer: Answer): void => answer.send({ status: 200, reason: 'OK', headers: [] }, 'ok');

/** Whatever is not given: any port of loopback, long deadlines, `ok` to every request, and nothing else is borne. */
export const listenerWith = (hooks: Partial<Hooks>, options: Partial<ListenerOptions> = {}): Listener =>
  makeListener(
    {
      host: '127.0.0.1',
      port: 0,
      maxHeaderBytes: 102_400,
      headMs: 30_000,
      idleMs: 30_000,
      clock: realClock,
      isIdle,
      ...options,
    },
    {
      connection: (socket) => attachLink(socket, undefined, false, undefined),
      connect: (_request, socket) => socket.destroy(),
      request: (_request, _body, answer) => sendOk(answer),
      malformed: (socket) => socket.destroy(),
      ...hooks,
    },
  );
