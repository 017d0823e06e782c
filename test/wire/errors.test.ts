/** Section 6: every row of the table of errors, made to happen over real sockets, in every dialect. */
import { describe, expect, it } from 'vitest';
import { type Condition, WIRE_ERRORS } from '../../src/model/errors.ts';
import { CAUSES, type Voice } from './errors-causes.ts';
import { expectRefusal, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const SCRAPY = 'X-Crawlera-Client: scrapy-zyte-smartproxy/2.4.1\r\n';

const VOICES: readonly (readonly [name: string, voice: Voice])[] = [
  ['the default dialect', { dialect: 'crawlera', account: '', headers: '' }],
  ['spm', { dialect: 'spm', account: ', dialect: spm', headers: '' }],
  ['auto for the Scrapy plugin', { dialect: 'spm', account: ', dialect: auto', headers: SCRAPY }],
  ['auto for anybody else', { dialect: 'crawlera', account: ', dialect: auto', headers: '' }],
];

const ROWS = Object.keys(CAUSES) as (keyof typeof CAUSES)[];

describe.each(VOICES)('E-03 E-04 E-06 robustness H10: in %s', (_name, voice) => {
  it.each(ROWS)('E-01 E-02 E-07 E-08 R-01 R-06 R-07 %s', async (condition) => {
    const { answer, expected } = await CAUSES[condition](kit, voice);
    expectRefusal(answer, condition, { dialect: voice.dialect, ...expected });
  });
});

describe('the table', () => {
  it('E-03 E-04 has no row without a cause but bugs and upgrades, which are tested elsewhere', () => {
    const caused = new Set<string>([...ROWS, 'internal_error', 'no_upgrade']);
    expect((Object.keys(WIRE_ERRORS) as Condition[]).filter((condition) => !caused.has(condition))).toEqual([]);
  });
});
