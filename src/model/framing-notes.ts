/** What the fields of a head say about its body and the connection's future; requests and responses are read alike. */
import { digitsOnly } from './field-text.ts';

export interface FramingNotes {
  length: number | undefined;
  chunked: boolean;
  close: boolean;
  keepAlive: boolean;
}

const noteConnection = (notes: FramingNotes, value: string): void => {
  const lower = value.toLowerCase();
  if (lower === 'keep-alive') {
    notes.keepAlive = true;
    return;
  }
  for (const word of lower.split(',')) {
    const option = word.trim();
    if (option === 'close') notes.close = true;
    else if (option === 'keep-alive') notes.keepAlive = true;
  }
};

/**
 * The few fields that matter, told apart by length first so that all others cost nothing. Throws what `malformed` makes of
 * a length or coding that two parsers could read differently (robustness A01, A06).
 */
export const noteFraming = (
  notes: FramingNotes,
  name: string,
  value: string,
  malformed: (what: string) => Error,
): void => {
  switch (name.length) {
    case 10:
      if (name.toLowerCase() === 'connection') noteConnection(notes, value);
      return;
    case 14: {
      if (name.toLowerCase() !== 'content-length') return;
      const length = digitsOnly(value);
      if (length === undefined || notes.length !== undefined) throw malformed('content-length');
      notes.length = length;
      return;
    }
    case 16:
      if (name.toLowerCase() === 'proxy-connection') noteConnection(notes, value);
      return;
    case 17:
      if (name.toLowerCase() !== 'transfer-encoding') return;
      if (notes.chunked || value.toLowerCase() !== 'chunked') throw malformed('transfer-encoding');
      notes.chunked = true;
      return;
  }
};
