import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLists } from '../../src/config/lists.ts';

const folder = mkdtempSync(join(tmpdir(), 'lists-'));
let server: Server;
let base: string;
let answer: { status: number; body: string };

beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(answer.status);
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const watched = () => {
  const warnings: string[] = [];
  let changes = 0;
  const lists = makeLists({
    changed: () => {
      changes++;
    },
    warn: (message) => warnings.push(message),
  });
  return { lists, warnings, changes: () => changes };
};

const labels = (lists: ReturnType<typeof makeLists>) => lists.upstreams().map(({ label }) => label);

describe('upstream lists', () => {
  it('reads a remote and a local list, each upstream once', async () => {
    answer = { status: 200, body: '192.0.2.1:3128\n192.0.2.2:3128:user:pass\n' };
    const file = join(folder, 'list.txt');
    writeFileSync(file, '# mine\nhttp://192.0.2.1:3128\nsocks5://192.0.2.9:1080\n');
    const { lists, warnings } = watched();
    await lists.follow([
      { location: `${base}/list.txt`, everyMs: 60_000 },
      { location: file, everyMs: 60_000 },
    ]);
    expect(labels(lists)).toEqual(['192.0.2.1:3128', '192.0.2.2:3128', '192.0.2.9:1080']);
    expect(warnings).toEqual([]);
    lists.stop();
  });

  it('keeps what a list held when it cannot be read any more, and names no secret', async () => {
    answer = { status: 200, body: '192.0.2.1:3128\n' };
    const { lists, warnings } = watched();
    const list = { location: `${base}/list.txt?token=s3cret`, everyMs: 60_000 };
    await lists.follow([list]);
    answer = { status: 500, body: 'broken' };
    await lists.follow([list]);
    expect(labels(lists)).toEqual(['192.0.2.1:3128']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${base}/list.txt was not read`);
    expect(warnings[0]).not.toContain('s3cret');
    lists.stop();
  });

  it('says which lines are unusable and uses the others', async () => {
    answer = { status: 200, body: 'nonsense\n192.0.2.7:8080\n' };
    const { lists, warnings } = watched();
    await lists.follow([{ location: `${base}/list.txt`, everyMs: 60_000 }]);
    expect(labels(lists)).toEqual(['192.0.2.7:8080']);
    expect(warnings[0]).toMatch(/line 1: /);
    lists.stop();
  });

  it('tells of a change, and not of the same list read again', async () => {
    answer = { status: 200, body: '192.0.2.7:8080\n' };
    const { lists, changes } = watched();
    const list = { location: `${base}/list.txt`, everyMs: 60_000 };
    await lists.follow([list]);
    expect(changes()).toBe(1);
    await lists.follow([list]);
    expect(changes()).toBe(1);
    answer = { status: 200, body: '192.0.2.8:8080\n' };
    await lists.follow([list]);
    expect(changes()).toBe(2);
    lists.stop();
  });

  it('reads a list again after its time', async () => {
    answer = { status: 200, body: '192.0.2.7:8080\n' };
    let again: () => void = () => undefined;
    const second = new Promise<void>((resolve) => {
      again = resolve;
    });
    let changes = 0;
    const lists = makeLists({
      changed: () => {
        if (++changes === 2) again();
      },
      warn: () => undefined,
    });
    await lists.follow([{ location: `${base}/list.txt`, everyMs: 10 }]);
    answer = { status: 200, body: '192.0.2.8:8080\n' };
    await second;
    expect(labels(lists)).toEqual(['192.0.2.8:8080']);
    lists.stop();
  });

  it('forgets a list that is configured no more', async () => {
    answer = { status: 200, body: '192.0.2.7:8080\n' };
    const { lists } = watched();
    await lists.follow([{ location: `${base}/list.txt`, everyMs: 60_000 }]);
    await lists.follow([]);
    expect(lists.upstreams()).toEqual([]);
    lists.stop();
  });
});
