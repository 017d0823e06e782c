import { describe, expect, it } from 'vitest';
import { judge } from './check.ts';

const baseline = { http: 1, https: 0.8 };

describe('the guard against growing slower', () => {
  it('is content with the baseline, with less, and with up to 15 % more', () => {
    expect(judge({ http: 1.15, https: 0.5 }, baseline).fine).toBe(true);
  });

  it('fails for more in a single case, and names it', () => {
    const { fine, text } = judge({ http: 1, https: 0.93 }, baseline);
    expect(fine).toBe(false);
    expect(text).toMatch(/https .*16\.3 % \| SLOWER/);
  });

  it('fails for a case that was not measured', () => {
    expect(judge({ http: 1 }, baseline).fine).toBe(false);
  });
});
