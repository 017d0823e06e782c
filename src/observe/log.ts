/** The log: JSON lines on standard output, or readable ones when it is a terminal. Home of pino and pino-pretty. */
import { type DestinationStream, destination, type LevelWithSilent, pino, stdTimeFunctions } from 'pino';
import { build as pretty } from 'pino-pretty';
import { scrubError, scrubFields, scrubText } from './scrub.ts';

export type Fields = Readonly<Record<string, unknown>>;

type WrittenLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  /** Whether lines of this level are written at all. */
  wants(level: WrittenLevel): boolean;
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** Error with stack and causes. */
  failure(message: string, error: unknown, fields?: Fields): void;
  /** One info line of members of a JSON object, known to hold no secret: nothing is searched for in them. */
  line(message: string, members: string): void;
  /** Applies a level after a reload; an unknown one is refused by the configuration. */
  setLevel(level: string): void;
  /** Writes everything out before it returns; the log can be used on. Call it last before the process exits. */
  flush(): void;
  /** Flushes and stops the timer. */
  close(): void;
}

export interface LogOptions {
  readonly level: string;
  /** Readable lines; by default when the output is a terminal. */
  readonly pretty?: boolean;
  /** File descriptor to write to; standard output by default. */
  readonly to?: number;
}

/** Lines are gathered up to this many bytes, */
const BATCH_BYTES = 8 * 1024;
/** and for at most this long. */
const BATCH_MS = 200;
/** Beyond it lines are dropped and counted rather than kept: nobody reads the output. */
const MOST_BYTES = 32 * 1024 * 1024;

interface Output {
  readonly stream: DestinationStream;
  flush(): void;
  close(): void;
}

const prettyOutput = (to: number): Output => {
  const stream = pretty({
    colorize: true,
    sync: true,
    singleLine: true,
    destination: to,
    ignore: 'pid',
    translateTime: 'SYS:HH:MM:ss.l',
  });
  return { stream, flush: () => undefined, close: () => undefined };
};

const batchedOutput = (to: number, dropped: (bytes: number) => void): Output => {
  const batched = destination({
    dest: to,
    sync: false,
    minLength: BATCH_BYTES,
    maxLength: MOST_BYTES,
  });
  batched.on('drop', (data: string | Buffer) => dropped(data.length));
  // A reader that went away must not end the proxy.
  batched.on('error', () => undefined);
  // Joined here first: handing it every line costs more than writing the line.
  let joined = '';
  const hand = (): void => {
    const text = joined;
    joined = '';
    if (text !== '') batched.write(text);
  };
  const stream: DestinationStream = {
    write(line) {
      joined += line;
      if (joined.length >= BATCH_BYTES) hand();
    },
  };
  const flush = (): void => {
    hand();
    try {
      batched.flushSync();
    } catch {
      // Not open any more, or the reader is gone: nothing to save.
    }
  };
  let flushing = false;
  const flushSoon = (): void => {
    if (flushing) return;
    hand();
    flushing = true;
    batched.flush(() => {
      flushing = false;
    });
  };
  const timer = setInterval(flushSoon, BATCH_MS);
  timer.unref();
  process.once('exit', flush);
  const close = (): void => {
    clearInterval(timer);
    process.off('exit', flush);
    flush();
  };
  return { stream, flush, close };
};

const isTerminal = (to: number): boolean => to === 1 && process.stdout.isTTY === true;

/** The time as pino writes it; the same text for all lines of one millisecond. */
const makeTimeText = (): (() => string) => {
  let atMs = 0;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== atMs) {
      atMs = nowMs;
      text = stdTimeFunctions.isoTime();
    }
    return text;
  };
};

/**
 * The one line a request, in pino's own form but written past its serialisers, which cost several times as much. The caller
 * has asked `wants`.
 */
const writeLine = (stream: DestinationStream): Log['line'] => {
  const start = `{"level":"info"`;
  const pid = `,"pid":${process.pid},`;
  const timeText = makeTimeText();
  return (message, members) => {
    stream.write(`${start}${timeText()}${pid}${members},"msg":"${message}"}\n`);
  };
};

/** Opens the log. One a process. */
export const openLog = ({ level, to = 1, pretty: readable = isTerminal(to) }: LogOptions): Log => {
  let droppedBytes = 0;
  const output = readable
    ? prettyOutput(to)
    : batchedOutput(to, (bytes) => {
        droppedBytes += bytes;
      });
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output.stream,
  );
  const reportDropped = (): void => {
    if (droppedBytes === 0) return;
    const bytes = droppedBytes;
    droppedBytes = 0;
    logger.warn({ bytes }, 'log lines were dropped: the output is not read fast enough');
  };
  const write = (at: WrittenLevel, message: string, fields: Fields = {}): void => {
    if (!logger.isLevelEnabled(at)) return;
    reportDropped();
    logger[at](scrubFields(fields) as object, scrubText(message));
  };
  return {
    wants: (at) => logger.isLevelEnabled(at),
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    failure: (message, error, fields = {}) => {
      reportDropped();
      logger.error({ ...(scrubFields(fields) as object), error: scrubError(error) }, scrubText(message));
    },
    line: readable ? (message, members) => logger.info(JSON.parse(`{${members}}`), message) : writeLine(output.stream),
    setLevel: (next) => {
      logger.level = next as LevelWithSilent;
    },
    flush: output.flush,
    close: output.close,
  };
};
