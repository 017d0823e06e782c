import { afterEach, describe, expect, it } from 'vitest';
import { type Admin, openAdmin } from '../../src/api/admin.ts';
import { basic, openLine } from '../support/client.ts';

let admin: Admin;
let ready = true;
afterEach(() => admin.close());

const open = async (metrics: () => Promise<string> = async () => 'crawlgate_up 1\n') => {
  ready = true;
  admin = await openAdmin({ host: '127.0.0.1', port: 0, key: 'adm1n', metrics, ready: () => ready });
};

const ask = async (path: string, more = '', method = 'GET') => {
  const line = await openLine(admin.address.port);
  const answer = await line.ask(`${method} ${path} HTTP/1.1\r\nHost: admin\r\n${more}\r\n`);
  line.socket.destroy();
  return answer;
};

describe('the admin port', () => {
  it('tells without a key that the process is alive and ready', async () => {
    await open();
    expect((await ask('/healthz')).body).toBe('ok\n');
    expect((await ask('/readyz')).status).toBe(200);
    ready = false;
    expect((await ask('/readyz')).status).toBe(503);
    expect((await ask('/healthz')).status).toBe(200);
  });

  it.each([
    ['as a user name', basic('adm1n')],
    ['as a bearer', 'Bearer adm1n'],
  ])('shows metrics to who has the key %s', async (_how, value) => {
    await open();
    const answer = await ask('/metrics', `Authorization: ${value}\r\n`);
    expect(answer.status).toBe(200);
    expect(answer.header('Content-Type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(answer.body).toBe('crawlgate_up 1\n');
  });

  it.each([
    ['nothing', ''],
    ['another key', `Authorization: ${basic('adm1m')}\r\n`],
    ['another scheme', 'Authorization: Digest adm1n\r\n'],
  ])('shows no metrics to who sends %s, nor says which pages there are', async (_what, header) => {
    await open();
    for (const path of ['/metrics', '/nothing']) {
      const answer = await ask(path, header);
      expect(answer.status).toBe(401);
      expect(answer.header('WWW-Authenticate')).toBe('Basic realm="crawlgate"');
    }
  });

  it('knows no other page and no other method', async () => {
    await open();
    const key = `Authorization: ${basic('adm1n')}\r\n`;
    expect((await ask('/nothing', key)).status).toBe(404);
    expect((await ask('/constructor', key)).status).toBe(404);
    expect((await ask('/metrics', key, 'DELETE')).status).toBe(405);
  });

  it('answers 500 when the numbers cannot be had', async () => {
    await open(() => Promise.reject(new Error('secret')));
    const answer = await ask('/metrics', `Authorization: ${basic('adm1n')}\r\n`);
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain('secret');
  });
});
