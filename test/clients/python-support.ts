/** How the tests run Python: the example programs, and short programs of their own with the proxy and the key at hand. */
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Exit, run } from '../support/child.ts';
import { environment, type Means, type TappedTown } from './languages.ts';

export const PYTHON = '/usr/bin/python3';

/** A Python of 3.13 or newer, whose contexts verify with VERIFY_X509_STRICT by default; `undefined` where there is none. */
export const strictPython = (): string | undefined => {
  const versions = join(homedir(), '.pyenv', 'versions');
  const own = existsSync(versions) ? readdirSync(versions).filter((name) => /^3\.1[3-9]\./.test(name)) : [];
  const places = [...own.map((name) => join(versions, name, 'bin')), ...(process.env['PATH'] ?? '').split(':')];
  const names = ['python3.13', 'python3.14'];
  // What pyenv puts into the PATH only looks for other programs.
  const found = places
    .filter((place) => !place.endsWith('shims'))
    .flatMap((place) => names.map((name) => join(place, name)));
  return found.find((program) => existsSync(program));
};

export const runPython = (example: string, town: TappedTown, urls: readonly string[], means?: Means): Promise<Exit> =>
  run(PYTHON, [join('examples', 'python', `${example}.py`), ...urls], { env: environment(town, means) });

const PRELUDE = (town: TappedTown): string => `
import os, ssl, sys
PROXY = "http://${town.key}:@${town.tap.address}"
PROXIES = {"http": PROXY, "https": PROXY}
CA = "${town.caFile}"
HTTP = "${town.site.httpUrl}"
HTTPS = "${town.site.httpsUrl}"
`;

export interface Inline {
  readonly env?: Readonly<Record<string, string>>;
  readonly python?: string;
}

/** Runs a program that finds PROXY, PROXIES, CA, HTTP and HTTPS; what it prints, by line, once it has ended well. */
export const python = async (town: TappedTown, code: string, { env = {}, python = PYTHON }: Inline = {}) => {
  const { out, err, status } = await run(python, ['-c', `${PRELUDE(town)}\n${code}`], { env });
  if (status !== 0) throw new Error(`${out}${err}`);
  return out.trimEnd().split('\n');
};

/** The environment that all four libraries read. */
export const proxyEnv = (town: TappedTown): Record<string, string> => ({
  http_proxy: `http://${town.key}:@${town.tap.address}`,
  https_proxy: `http://${town.key}:@${town.tap.address}`,
});
