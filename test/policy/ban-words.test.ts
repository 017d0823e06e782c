import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeWordBook } from '../../src/policy/ban-words.ts';

const found = (words: readonly string[], text: string | Buffer): string[] => {
  const book = makeWordBook();
  const numbers = words.map((word) => book.add(word));
  const hits = book.searchFor(new Set(numbers))(Buffer.from(text));
  return words.filter((_, i) => hits[numbers[i] as number] === 1);
};

describe('A-08 words in a body', () => {
  it('finds words whatever their case, at the start, at the end and inside each other', () => {
    expect(found(['start', 'Captcha', 'captchas', 'nowhere', 'END!'], 'START of many captchas, the end!')).toEqual([
      'start',
      'Captcha',
      'captchas',
      'END!',
    ]);
  });

  it('finds words beyond ASCII as UTF-8', () => {
    expect(found(['验证码', 'zugriff gesperrt für'], 'bitte: 验证码 / Zugriff gesperrt für alle')).toHaveLength(2);
  });

  it('finds nothing without words, and nothing in an empty body', () => {
    expect(found([], 'anything')).toEqual([]);
    expect(found(['word'], '')).toEqual([]);
    expect(found(['word'], 'wor')).toEqual([]);
  });

  it('gives two spellings of a word one number', () => {
    const book = makeWordBook();
    expect(book.add('Captcha')).toBe(book.add('CAPTCHA'));
  });

  it('keeps what one body held apart from the next', () => {
    const book = makeWordBook();
    const number = book.add('blocked');
    const search = book.searchFor(new Set([number]));
    expect(search(Buffer.from('blocked'))[number]).toBe(1);
    expect(search(Buffer.from('welcome'))[number]).toBe(0);
  });

  it('agrees with a plain search for any words and any text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'B', ' ', '<'), minLength: 4, maxLength: 40 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'B', ' ', '<'), maxLength: 400 });
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 12 }), text, (words, body) => {
        const expected = words.filter((word) => body.toLowerCase().includes(word.toLowerCase()));
        expect(found(words, body)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('finds a word cut out of a random body at any place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 500 }), fc.nat(), fc.nat({ max: 60 }), (bytes, at, more) => {
        const ascii = Buffer.from(bytes.map((byte) => 0x20 + (byte % 0x5f)));
        const start = at % (ascii.length - 3);
        const word = ascii.toString('latin1', start, start + 4 + more);
        expect(found([word, 'something else'], ascii)).toContain(word);
      }),
    );
  });
});
