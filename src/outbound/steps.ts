/** The steps a dialling is made of that only need a socket: open TCP, and speak a short exchange on it. */
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { ClosedEarly } from './faults.ts';
import type { Lifeline } from './lifeline.ts';

type Explain = (error: unknown) => Error;

/** `timeout` in the options limits this address alone. */
export const openTcp = (line: Lifeline, options: TcpNetConnectOpts, explain: Explain): Promise<Socket> =>
  line.step<Socket>(explain, (done, fail) => {
    const socket = connect({ ...options, noDelay: true, autoSelectFamily: false });
    line.own(socket);
    const connected = (): void => done(socket);
    const silent = (): void => {
      socket.destroy();
      fail(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
    };
    socket.on('connect', connected).on('error', fail).on('timeout', silent);
    return () => {
      socket.off('connect', connected).off('error', fail).off('timeout', silent).setTimeout(0);
    };
  });

/** Reads what was received so far: `undefined` = more is needed; otherwise the value and how many bytes it took. */
export type Reader<T> = (bytes: Buffer) => { readonly value: T; readonly used: number } | undefined;

/**
 * Sends `greeting` and reads the reply to it; bytes after the reply go back into the socket. A reader that throws fails
 * the step with what it threw.
 */
export const converse = <T>(
  line: Lifeline,
  socket: Socket,
  greeting: Buffer | string,
  read: Reader<T>,
  explain: Explain,
): Promise<T> =>
  line.step<T>(explain, (done, fail) => {
    let received: Buffer = Buffer.alloc(0);
    const data = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        const reply = read(received);
        if (!reply) return;
        done(reply.value);
        if (reply.used < received.length) socket.unshift(received.subarray(reply.used));
      } catch (error) {
        fail(error);
      }
    };
    const closed = (): void => fail(new ClosedEarly());
    socket.on('data', data).on('end', closed).on('close', closed).on('error', fail);
    socket.resume();
    socket.write(greeting, 'latin1');
    return () => {
      socket.pause();
      socket.off('data', data).off('end', closed).off('close', closed).off('error', fail);
    };
  });
