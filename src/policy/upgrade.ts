/** A WebSocket handshake's hop-by-hop headers: the one pair of them that crosses, in both directions (T-18, F-01). */
import { type HeaderList, lastValue, listWords } from '../model/headers.ts';
import { answerHeaders } from './forward.ts';

const WEBSOCKET = 'websocket';

/** Whether a value of `Upgrade` offers, or agrees to, a WebSocket; every other protocol stays untaken. */
export const namesWebSocket = (upgrade: string | undefined): boolean =>
  upgrade !== undefined && listWords(upgrade).includes(WEBSOCKET);

/** Whether a `Connection` value names `option`, in lower case. */
export const hasOption = (connection: string, option: string): boolean => listWords(connection).includes(option);

const HARMLESS: ReadonlySet<string> = new Set(['upgrade', 'keep-alive']);

/** As it was sent, unless it names what does not cross. */
const connectionValue = (value: string): string | undefined => {
  const words = listWords(value);
  if (!words.includes('upgrade')) return undefined;
  return words.every((word) => HARMLESS.has(word)) ? value : 'Upgrade';
};

const upgradeValue = (value: string): string | undefined => {
  if (!namesWebSocket(value)) return undefined;
  return listWords(value).length === 1 ? value : WEBSOCKET;
};

const handshakeValue = (name: string, value: string): string | undefined => {
  if (name.length === 10 && name.toLowerCase() === 'connection') return connectionValue(value);
  return name.length === 7 && name.toLowerCase() === 'upgrade' ? upgradeValue(value) : undefined;
};

/** `kept` is what else of `raw` crosses, in the order of `raw`; a `Host` that was added stands before all of it. */
const withHandshake = (raw: HeaderList, kept: HeaderList): string[] => {
  const out: string[] = [];
  let at = 0;
  const first = kept[0];
  if (first !== undefined && lastValue(raw, first.toLowerCase()) === undefined) at = out.push(first, kept[1] as string);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = handshakeValue(name, raw[i + 1] as string);
    if (value !== undefined) out.push(name, value);
    else if (name === kept[at]) {
      out.push(name, kept[at + 1] as string);
      at += 2;
    }
  }
  return out;
};

/** A handshake as its target shall see it: `forwarded` with `Connection` and `Upgrade` where the client has them (F-04). */
export const handshakeHeaders = (raw: HeaderList, forwarded: HeaderList): string[] => withHandshake(raw, forwarded);

/** A 101 as the client shall see it: like any answer, but the protocol it switches to is named. */
export const switchingHeaders = (raw: HeaderList): string[] => withHandshake(raw, answerHeaders(raw, false));
