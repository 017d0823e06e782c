import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Condition, Refusal, type RefusalDetail, WIRE_ERRORS } from '../../src/model/errors.ts';
import { type AnswerMarks, errorLine, refusalAnswer, wholeSeconds } from '../../src/policy/refuse.ts';

const MARKS: AnswerMarks = { version: '1.2.3', exit: undefined, session: undefined, nextRequestInMs: undefined };
const CONDITIONS = Object.keys(WIRE_ERRORS) as Condition[];

interface Read {
  readonly names: string[];
  value(name: string): string | undefined;
}

const read = (headers: readonly string[]): Read => {
  const names = headers.filter((_, i) => i % 2 === 0);
  return { names, value: (name) => headers[2 * names.indexOf(name) + 1] };
};

const answer = (
  condition: Condition,
  detail: RefusalDetail = {},
  marks: Partial<AnswerMarks> = {},
  dialect: 'crawlera' | 'spm' = 'crawlera',
) => {
  const made = refusalAnswer(new Refusal(condition, detail), dialect, { ...MARKS, ...marks }, 'me@example.org');
  return { ...made, ...read(made.headers) };
};

describe('every refusal', () => {
  it.each(CONDITIONS)('E-01 R-01 T-09 %s carries version and code, each once, in canonical capitals', (condition) => {
    for (const dialect of ['crawlera', 'spm'] as const) {
      const { status, reason, names, value } = answer(condition, {}, {}, dialect);
      expect([status, reason]).toEqual([WIRE_ERRORS[condition].status, WIRE_ERRORS[condition].phrase]);
      expect(value('X-Crawlera-Version')).toBe('1.2.3');
      expect(value('X-Crawlera-Error')).toBe(WIRE_ERRORS[condition].code[dialect]);
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
    }
  });

  it.each(CONDITIONS)('E-02 R-07 %s has one line of text, or no body and no type', (condition) => {
    const { body, value } = answer(condition, { subject: 'X' });
    expect(body).toMatch(/^[\x20-\x7e]{0,200}$/);
    expect(value('Content-Type')).toBe(body === '' ? undefined : 'text/plain');
    expect(body).not.toContain('<>');
  });

  it.each(CONDITIONS)('E-08 %s has Retry-After only where the table says so, as a plain number', (condition) => {
    const wait = answer(condition).value('Retry-After');
    if ('retryAfter' in WIRE_ERRORS[condition]) expect(wait).toBe('1');
    else expect(wait).toBeUndefined();
  });

  it('R-07 U-04 has an empty body for a refused login alone', () => {
    expect(CONDITIONS.filter((condition) => answer(condition).body === '')).toEqual(['bad_auth']);
  });
});

describe('what goes with it', () => {
  it('R-02 R-03 P-04 shows exit, session and delay of the request', () => {
    const { value } = answer('timeout', {}, { exit: '192.0.2.1:3128', session: '1234567', nextRequestInMs: 120_001 });
    expect(value('X-Crawlera-Slave')).toBe('192.0.2.1:3128');
    expect(value('X-Crawlera-Session')).toBe('1234567');
    expect(value('X-Crawlera-Next-Request-In')).toBe('121');
  });

  it('R-02 R-03 P-04 leaves out what there is none of', () => {
    expect(answer('timeout').names).toEqual(['X-Crawlera-Version', 'X-Crawlera-Error', 'Content-Type']);
  });

  it('S-09 names the offending session rather than any other', () => {
    expect(answer('bad_session_id', { session: 'x9' }, { session: '1234567' }).value('X-Crawlera-Session')).toBe('x9');
  });

  it('U-04 challenges after a refused login and nowhere else', () => {
    expect(answer('bad_auth').value('Proxy-Authenticate')).toBe('Basic realm="Crawlera"');
    expect(CONDITIONS.filter((condition) => answer(condition).value('Proxy-Authenticate'))).toEqual(['bad_auth']);
  });

  it('E-07 marks a ban for newer plugins, in the crawlera dialect alone', () => {
    const { value } = answer('slavebanned');
    expect([value('Zyte-Error-Type'), value('Zyte-Error')]).toEqual(['banned', 'banned']);
    const marked = (dialect: 'crawlera' | 'spm') =>
      CONDITIONS.filter((condition) => answer(condition, {}, {}, dialect).names.some((name) => /^zyte/i.test(name)));
    expect(marked('crawlera')).toEqual(['slavebanned']);
    expect(marked('spm')).toEqual([]);
  });

  it('S-07 names the methods an endpoint has', () => {
    expect(answer('bad_method', { allow: 'DELETE' }).value('Allow')).toBe('DELETE');
  });

  it('E-03 writes the header, the name and the operator into the message', () => {
    expect(answer('bad_header', { subject: 'X-Crawlera-UA' }).body).toBe('Bad header value for X-Crawlera-UA');
    expect(answer('header_auth', { subject: 'x-crawlera-ua' }).body).toBe(
      'Unauthorized Crawlera header: "x-crawlera-ua"',
    );
    expect(answer('domain_forbidden').body).toBe('Domain forbidden. Please contact me@example.org');
  });

  it('robustness C09 never shows the reason meant for the log', () => {
    for (const condition of CONDITIONS) {
      const made = answer(condition, { reason: 'http://user:pass@192.0.2.1' });
      expect(JSON.stringify(made)).not.toContain('user:pass');
    }
  });
});

describe('waits', () => {
  it.each([
    [0, 1],
    [1, 1],
    [1000, 1],
    [1001, 2],
    [599_001, 600],
  ])('E-09 writes %d ms as %d s', (ms, seconds) => {
    expect(wholeSeconds(ms)).toBe(seconds);
    expect(answer('noslaves', { retryAfterMs: ms }).value('Retry-After')).toBe(String(seconds));
  });

  it('E-09 caps a wait at 600 s', () => {
    expect(answer('slavebanned', { retryAfterMs: 3_600_000 }).value('Retry-After')).toBe('600');
  });

  it('E-09 P-01 names the true delay at the hard limit, in both headers', () => {
    const { value } = answer('serverbusy', { retryAfterMs: 1_000_200, nextRequestInMs: 1_000_200 });
    expect(value('Retry-After')).toBe('1001');
    expect(value('X-Crawlera-Next-Request-In')).toBe('1001');
  });
});

it("E-03 takes a dollar sign in the operator's contact as it is", () => {
  expect(errorLine('Ask <>.', 'a$&b$1')).toBe('Ask a$&b$1.');
});

it('E-02 makes one ASCII line of at most 200 characters of anything', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ unit: 'binary', maxLength: 400 }), (a, b) =>
      /^[\x20-\x7e]{0,200}$/.test(errorLine(`${a}<>`, b)),
    ),
  );
});
