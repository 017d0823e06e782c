/** Java's two clients by their examples, compiled once, and what they do without the settings that the examples make. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
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

const SOURCES = 'examples/java';

/** Several pages at once with a client of default settings. */
const PARALLEL = `
import java.net.*;
import java.net.http.*;
import java.util.stream.*;

public class Parallel {
    public static void main(String[] args) throws Exception {
        var proxy = System.getenv("CRAWLGATE_PROXY").split(":");
        var client = HttpClient.newBuilder()
                .proxy(ProxySelector.of(new InetSocketAddress(proxy[0], Integer.parseInt(proxy[1]))))
                .authenticator(ClientFetch.key(System.getenv("CRAWLGATE_API_KEY")))
                .build();
        var asked = Stream.of(args)
                .map(url -> HttpRequest.newBuilder(URI.create(url)).build())
                .map(request -> client.sendAsync(request, HttpResponse.BodyHandlers.ofString()))
                .collect(Collectors.toList());
        for (var one : asked) {
            var error = one.get().headers().firstValue("X-Crawlera-Error").orElse("");
            System.out.println((one.get().version() + " " + one.get().statusCode() + " " + error).trim());
        }
    }
}
`;

/** A program that knows nothing of proxies but for its Authenticator; a thread for each page. */
const PLAIN = `
import java.net.*;
import java.util.*;

public class Plain {
    public static void main(String[] args) throws Exception {
        var key = System.getenv("CRAWLGATE_API_KEY");
        var stubborn = new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication(key, new char[0]);
            }
        };
        Authenticator.setDefault(System.getProperty("stubborn") == null ? UrlFetch.key(key) : stubborn);
        var all = new ArrayList<Thread>();
        for (var url : args) all.add(new Thread(() -> show(url)));
        for (var one : all) one.start();
        for (var one : all) one.join();
    }

    static void show(String url) {
        try {
            var connection = (HttpURLConnection) new URL(url).openConnection();
            var status = connection.getResponseCode();
            System.out.println(status + " " + Objects.toString(connection.getHeaderField("X-Crawlera-Error"), ""));
        } catch (Exception failure) {
            System.out.println(failure);
        }
    }
}
`;

const compiled = { folder: '' };

/** For both clients. */
const compile = (): void => {
  if (compiled.folder !== '') return;
  compiled.folder = mkdtempSync(join(tmpdir(), 'crawlgate-java-'));
  const own = [join(compiled.folder, 'Parallel.java'), join(compiled.folder, 'Plain.java')];
  for (const file of own) writeFileSync(file, file.endsWith('Plain.java') ? PLAIN : PARALLEL);
  const examples = readdirSync(SOURCES).filter((name) => name.endsWith('.java'));
  execFileSync('javac', [
    '-Xlint:all',
    '-Werror',
    '-d',
    compiled.folder,
    ...own,
    ...examples.map((name) => join(SOURCES, name)),
  ]);
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

  it('U-04 shows bad_auth where the key went along at once', async () => {
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

  it('U-05 answers a challenge on another connection, always', async () => {
    const town = await startTapped();
    await runUrl('fetch', town, `${town.site.httpUrl}/`);
    await runUrl('fetch', town, `${town.site.httpsUrl}/`);
    expect(town.tap.heads.map(withKey)).toEqual([[false], [true], [false], [true]]);
  });

  it('U-06 gives no key to CONNECT where Basic is left disabled for tunnels', async () => {
    const town = await startTapped();
    const { out } = await java(town, 'Plain', [`${town.site.httpsUrl}/`], { flags: proxied(town) });
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
