/** Hands the target's answer to the client with our headers added: a response as a stream, a 101 as a connection. */
import { Gone, Refusal } from '../model/errors.ts';
import { answerHeaders } from '../policy/forward.ts';
import { switchingHeaders } from '../policy/upgrade.ts';
import type { House } from './house.ts';
import type { Delivery, InboundResponse, Reply, ReplyHead, Stop } from './ports.ts';
import { debugHeaders, type Finish, marksOf, type Run } from './run.ts';

/** The point of no return. Throws `Refusal` data_error for an announced length beyond the limit. */
export const deliver = async (
  house: House,
  run: Run,
  response: InboundResponse,
  reply: Reply,
  stop: Stop,
): Promise<Finish> => {
  const { upgraded, status, length, headers: raw } = response;
  if (upgraded) {
    if (!reply.upgrade) throw new Error('a 101 for a client that cannot take one');
    const switching = headOf(house, run, response, switchingHeaders(raw));
    return finishOf(status, await reply.upgrade(switching, upgraded, stop));
  }
  const { maxResponseBytes } = house.rules();
  if (length !== undefined && length > maxResponseBytes) {
    throw new Refusal('data_error', { reason: `body of ${length} bytes announced` });
  }
  const head = headOf(house, run, response, answerHeaders(raw, status !== 204 && length !== undefined));
  const delivery = reply.stream(head, response.body, stop, maxResponseBytes);
  return finishOf(status, delivery instanceof Promise ? await delivery : delivery);
};

const headOf = (house: House, run: Run, response: InboundResponse, headers: string[]): ReplyHead => {
  const marks = marksOf(run, house.version, house.rules().softLimitMs);
  headers.push('X-Crawlera-Version', marks.version, 'X-Crawlera-Slave', response.exit);
  if (marks.session !== undefined) headers.push('X-Crawlera-Session', marks.session);
  if (marks.nextRequestInMs !== undefined) {
    headers.push('X-Crawlera-Next-Request-In', String(Math.ceil(marks.nextRequestInMs / 1000)));
  }
  headers.push(...debugHeaders(run));
  return { status: response.status, reason: response.reason, headers };
};

const finishOf = (status: number, delivery: Delivery): Finish => {
  const { failure } = delivery;
  if (!failure) return { outcome: 'ok', status, delivery, reason: undefined };
  return { outcome: failure instanceof Gone ? 'gone' : 'cut', status, delivery, reason: failure.message };
};
