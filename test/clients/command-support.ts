/** One call of curl through a town's proxy, and what a site may see of any client. */
import { expect } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import type { TestUpstream } from '../support/upstream.ts';
import type { SeenRequest, Town } from './kit.ts';

/** Later arguments win over the key, the proxy and the CA that are given here. */
export const curl = (town: Town, ...args: readonly string[]): Promise<Exit> =>
  run('curl', ['-sS', '-x', `http://${town.address}`, '-U', `${town.key}:`, '--cacert', town.caFile, ...args]);

const OURS = /^(?:x-crawlera|zyte|proxy)-|^(?:via|forwarded|x-forwarded-for|expect|te)$/;

/** The control headers, the key and everything between client and proxy stay here (F-01, F-02, U-10). */
export const expectNothingOfOurs = (seen: readonly SeenRequest[]): void => {
  for (const { headers } of seen) expect(Object.keys(headers).filter((name) => OURS.test(name))).toEqual([]);
};

/** Upstreams that were spoken to. */
export const used = (upstreams: readonly TestUpstream[]): number =>
  upstreams.filter(({ seen }) => seen.length > 0).length;
