/** Java's two clients by their examples, compiled once, and what they do without the settings that the examples make. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { basic } from '../support/client.ts';
import { describeClient } from './kit.ts';
import {
  checkExamples,
  environment,
  firstLines,
  type Means,
  type RunExample,
  startTapped,
  type TappedTown,
  together,
  WRONG_KEY,
} from './languages.ts';
import type { ClientId } from './programs.ts';

const EXAMPLES = 'examples/java';

const compiled = { folder: '' };

/** For both clients. */
const compile = (): void => {
  if (compiled.folder !== '') return;
  compiled.folder = mkdtempSync(join(tmpdir(), 'crawlgate-java-'));
  const sources = [EXAMPLES, 'test/clients/java'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.java'))
      .map((name) => join(folder, name)),
  );
  execFileSync('javac', ['-Xlint:all', '-Werror', '-d', compiled.folder, ...sources]);
};

/** A key store with the CA alone, as an operator makes it. */
const makeTrust = (town: TappedTown): string[] => {
  const store = join(town.folder, 'trust.p12');
  const options = ['-storetype', 'PKCS12', '-storepass', 'changeit', '-alias', 'crawlgate', '-file', town.caFile];
  if (!existsSync(store))
    execFileSync('keytool', ['-importcert', '-noprompt', '-keystore', store, ...options], { stdio: 'ignore' });
  return [`-Djavax.net.ssl.trustStore=${store}`, '-Djavax.net.ssl.trustStorePassword=changeit'];
};

interface Start extends Means {
  readonly flags?: readonly string[];
}

const java = (
  town: TappedTown,
  name: string,
  args: readonly string[],
  { flags = [], ...means }: Start = {},
): Promise<Exit> =>
  run('java', ['-XX:TieredStopAtLevel=1', ...flags, '-cp', compiled.folder, name, ...args], {
    env: environment(town, means),
  });

const CLASSES = { fetch: 'Fetch', session: 'Session' } as const;

const describeJava = (id: ClientId, checks: () => void): void =>
  describeClient(id, () => {
    beforeAll(compile, 100_000);
    checks();
  });

afterAll(() => rmSync(compiled.folder, { recursive: true, force: true }));

/** What Java needs to answer a Basic challenge to CONNECT, as a parameter of the JVM. */
const BASIC = '-Djdk.http.auth.tunneling.disabledSchemes=';

const withKey = (heads: readonly string[]): boolean[] => heads.map((head) => /^proxy-authorization:/im.test(head));

describeJava('javaHttpClient', () => {
  const runClient: RunExample = (example, town, url, means) => java(town, `Client${CLASSES[example]}`, [url], means);

  checkExamples({
    run: runClient,
    untrusted: /PKIX path building failed/,
    wrongKey: [/too many authentication attempts\. Limit: 3/, /too many authentication attempts\. Limit: 3/],
    sends: { fetch: 2, session: { http: 2, https: 1 } },
  });

  it('U-05 answers the challenge on the same connection to http pages, on another one to CONNECT', async () => {
    const town = await startTapped();
    await runClient('fetch', town, `${town.site.httpUrl}/`);
    expect(town.tap.heads.map(withKey)).toEqual([[false, true]]);
    await runClient('fetch', town, `${town.site.httpsUrl}/`);
    expect(town.tap.heads.slice(1).map(withKey)).toEqual([[false], [true]]);
  });

  it('U-04 gives a wrong key four times to challenges, once where it goes along unasked and shows bad_auth', async () => {
    const asked = await startTapped();
    await runClient('fetch', asked, `${asked.site.httpUrl}/`, { key: WRONG_KEY });
    expect(asked.tap.heads.flatMap(withKey)).toEqual([false, true, true, true, true]);
    const town = await startTapped();
    const { err, status } = await runClient('session', town, `${town.site.httpsUrl}/`, { key: WRONG_KEY });
    expect([status, err.trim()]).toEqual([1, '407 bad_auth: null']);
    expect(town.tap.heads.map(withKey)).toEqual([[true]]);
  });

  it('U-06 gives no key to CONNECT where Basic is left disabled for tunnels', async () => {
    const town = await startTapped();
    const { out } = await java(town, 'Parallel', [`${town.site.httpsUrl}/`], { flags: makeTrust(town) });
    expect(out).toBe('HTTP_1_1 407 bad_auth\n');
    expect(town.tap.heads.map(withKey)).toEqual([[false]]);
  });

  it('T-08 fetches several pages at once over HTTP/1.1 though it offers HTTP/2, with a key store', async () => {
    const town = await startTapped({ handler: together(4) });
    const urls = Array.from({ length: 4 }, (_, n) => `${town.site.httpsUrl}/${n}`);
    const { out } = await java(town, 'Parallel', urls, { flags: [BASIC, ...makeTrust(town)], trusts: false });
    expect(out).toBe('HTTP_1_1 200\n'.repeat(4));
  });
});

describeJava('javaUrlConnection', () => {
  const runUrl: RunExample = (example, town, url, means = {}) =>
    java(town, `Url${CLASSES[example]}`, [url], {
      ...means,
      flags: means.trusts === false || url.startsWith('http:') ? [] : makeTrust(town),
    });

  checkExamples({
    run: runUrl,
    untrusted: /PKIX path building failed/,
    wrongKey: [/^407 bad_auth: $/m, /^407 bad_auth: $/m],
    sends: { fetch: 2, session: { http: 3, https: 3 } },
  });

  /** The proxy by system properties. */
  const proxied = (town: TappedTown): string[] => {
    const [host, port] = town.tap.address.split(':');
    const settings = ['http', 'https'].flatMap((scheme) => [
      `-D${scheme}.proxyHost=${host}`,
      `-D${scheme}.proxyPort=${port}`,
    ]);
    return [...settings, ...makeTrust(town)];
  };

  it('U-05 answers the challenge on another connection, to http pages too', async () => {
    const town = await startTapped();
    await runUrl('fetch', town, `${town.site.httpUrl}/`);
    expect(town.tap.heads.map(withKey)).toEqual([[false], [true]]);
  });

  it('U-06 gives no key to CONNECT where Basic is left disabled for tunnels', async () => {
    const town = await startTapped();
    const { out } = await java(town, 'Plain', [`${town.site.httpsUrl}/`], { flags: proxied(town) });
    expect(out).toBe('407 bad_auth\n');
    expect(town.tap.heads.map(withKey)).toEqual([[false]]);
  });

  it('U-06 leaves a Proxy-Authorization header out of CONNECT', async () => {
    const town = await startTapped();
    const header = `-Dheader=${basic(town.key)}`;
    const { out } = await java(town, 'Plain', [`${town.site.httpsUrl}/`], { flags: [BASIC, header, ...proxied(town)] });
    expect(out).toBe('407 bad_auth\n');
    expect(town.tap.heads.map(withKey)).toEqual([[false]]);
  });

  it('fetches several pages at once, with proxy and key store from system properties', async () => {
    const town = await startTapped({ handler: together(4) });
    const urls = Array.from({ length: 4 }, (_, n) => `${town.site.httpsUrl}/${n}`);
    const { out } = await java(town, 'Plain', urls, { flags: [BASIC, ...proxied(town)] });
    expect(out).toBe('200 \n'.repeat(4));
  });

  it('U-04 repeats a wrong key twenty times when its Authenticator always gives one', async () => {
    const town = await startTapped();
    const flags = ['-Dstubborn', ...proxied(town)];
    const { out } = await java(town, 'Plain', [`${town.site.httpUrl}/`], { flags, key: WRONG_KEY });
    expect(out).toContain('407 bad_auth');
    expect(firstLines(town.tap)).toHaveLength(20);
  });
});
