import { describe, expect, it } from 'vitest';
import { builtIn, judged } from './ban-support.ts';

const HTML = ['Content-Type', 'text/html; charset=utf-8'];

describe('A-08 generic ban rules', () => {
  it.each<[status: number, headers: string[], rule: string]>([
    [429, [], 'status-429'],
    [429, ['Retry-After', '10'], 'status-429'],
    [429, ['Content-Type', 'application/json'], 'status-429'],
    [999, [], 'status-999'],
    [503, [], 'status-503-no-retry-after'],
    [503, HTML, 'status-503-no-retry-after'],
    [503, ['Retry-After', ' '], 'status-503-no-retry-after'],
    [403, [], 'status-403-html'],
    [403, HTML, 'status-403-html'],
    [403, ['content-type', 'TEXT/HTML'], 'status-403-html'],
    [403, ['Content-Type', 'text/html ; charset=x'], 'status-403-html'],
    [403, ['Content-Type', 'application/xhtml+xml'], 'status-403-html'],
    [403, ['Content-Type', ''], 'status-403-html'],
  ])('%i with %j is a ban: %s', (status, headers, rule) => {
    for (const method of ['GET', 'HEAD', 'POST']) expect(judged(builtIn, { method, status, headers })).toBe(rule);
  });

  it.each<[status: number, headers: string[]]>([
    [200, HTML],
    [200, []],
    [204, []],
    [301, []],
    [304, []],
    [400, HTML],
    [401, HTML],
    [403, ['Content-Type', 'application/json']],
    [403, ['Content-Type', 'text/htmlx']],
    [403, ['Content-Type', 'text/plain']],
    [404, HTML],
    [500, HTML],
    [502, HTML],
    [503, ['Retry-After', '120']],
    [503, ['retry-after', 'Wed, 21 Oct 2026 07:28:00 GMT']],
    [504, []],
  ])('%i with %j is an answer', (status, headers) => {
    expect(judged(builtIn, { status, headers })).toBeUndefined();
  });
});
