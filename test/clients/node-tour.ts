/** What every HTTP library of Node is put through by its own example: a page, a form, the CA, a wrong key, an error. */

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listen } from '../support/sockets.ts';
import { type Site, startTown, type Town } from './kit.ts';
import { echo, runExample, startDoor, WRONG_KEY } from './node-support.ts';

/** What the client shows of a CONNECT that was refused for a wrong key, and how many connections a GET and a POST take. */
interface Manner {
  /** How it begins an http request. */
  readonly plain: 'CONNECT' | 'GET';
  readonly refusal: RegExp;
  readonly connections?: number;
}

export const TOUR = /^GET 200 {2}session (\d{7,15})\nsaw GET \/a \nPOST 200 {2}session \1\n$/;

const leaks = ({ seen }: Site): string[] =>
  seen.flatMap(({ rawHeaders }) => rawHeaders.filter((name) => /^(x-crawlera|proxy-|via$|x-forwarded)/i.test(name)));

const tour = async (town: Town, example: string, base: string, opening: string): Promise<void> => {
  const door = await startDoor(town);
  const { out, err, status } = await runExample(town, example, `${base}/a`, { proxy: door.address });
  expect(err).toBe('');
  expect(out).toMatch(TOUR);
  expect(status).toBe(0);
  expect(door.opened[0]).toBe(opening);
  expect(town.site.seen.map(({ method, secure }) => `${method} ${secure}`)).toEqual(
    ['GET', 'POST'].map((method) => `${method} ${base.startsWith('https')}`),
  );
  expect(town.site.seen[1]?.headers).toMatchObject({
    'content-length': '7',
    'content-type': expect.stringContaining('form'),
  });
  expect(leaks(town.site)).toEqual([]);
  const [first, second] = town.upstreams.map(({ seen }) => seen.length);
  expect([first, second]).toContain(0);
};

export const checkExample = (example: string, { plain, refusal, connections }: Manner): void => {
  describe(`examples/node/${example}.mjs`, () => {
    it(`${plain === 'GET' ? 'T-02' : 'T-10'} S-03 F-01 fetches and posts over http in one session`, async () => {
      const town = await startTown({ upstreams: 2, handler: echo });
      await tour(town, example, town.site.httpUrl, plain);
    });

    it('T-04 T-07 C-01 H-05 fetches and posts over https in one session with the CA', async () => {
      const town = await startTown({ upstreams: 2, handler: echo });
      await tour(town, example, town.site.httpsUrl, 'CONNECT');
    });

    it('C-04 ends with an error where another CA is trusted', async () => {
      const town = await startTown();
      const caFile = join(town.folder, 'another.pem');
      writeFileSync(caFile, town.site.root);
      const { out, err, status } = await runExample(town, example, `${town.site.httpsUrl}/a`, { caFile });
      expect(err).toContain('unable to verify the first certificate');
      expect([out, status, town.site.seen.length]).toEqual(['', 1, 0]);
    });

    it('U-04 U-06 shows a wrong key', async () => {
      const town = await startTown();
      const addresses = [town.site.httpUrl, town.site.httpsUrl];
      const runs = await Promise.all(addresses.map((one) => runExample(town, example, one, { key: WRONG_KEY })));
      for (const { out, err } of runs) expect(out + err).toMatch(refusal);
      expect(town.site.seen).toEqual([]);
    });

    it('E-01 S-13 T-06 shows X-Crawlera-Error and the session of a request that failed', async () => {
      const town = await startTown();
      const gone = await listen(createServer());
      await gone.close();
      const { out } = await runExample(town, example, `https://shop.localhost:${gone.port}/`);
      expect(out).toMatch(
        /^GET 502 econnrefused session (\d+)\nConnection refused\nPOST 502 econnrefused session \1\n$/,
      );
    });

    if (connections === undefined) return;
    it(`T-20 comes with ${connections} connection(s) for a GET and a POST`, async () => {
      const town = await startTown({ handler: echo });
      const door = await startDoor(town);
      const { out } = await runExample(town, example, `${town.site.httpsUrl}/a`, { proxy: door.address });
      expect(out).toMatch(TOUR);
      expect(door.opened).toHaveLength(connections);
    });
  });
};

/** The 407 to CONNECT, handed on as the answer to the request. */
export const SHOWN = /^GET 407 bad_auth session undefined\n\n$/;
