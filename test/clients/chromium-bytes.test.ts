/** G-03 against real browsers: what a profile sends is what Chromium and Firefox send, line by line, in order and case. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../config/support.ts';
import { AUTH, openLine } from '../support/client.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { makeWireKit } from '../wire/errors-kit.ts';
import { chromiumMajor, spkiHash, visit } from './chromium.ts';
import { CHROMIUM_156, FIREFOX_153, type Recorded } from './recorded.ts';

const kit = makeWireKit();
const folder = scratchFolder();

const HOST = /shop\.(?:localhost|example):\d+/g;

const linesOf = (origin: Origin): string[] =>
  (origin.requests[0]?.head ?? '').trimEnd().replace(HOST, '<host>').split('\r\n').slice(1);

interface Asked {
  readonly userAgent: string;
  readonly secure: boolean;
  /** Header lines of the client; `<host>` stands for the target. */
  readonly client: readonly string[];
  readonly body?: string;
}

/** What the target sees of a profile with this one browser in the list. */
const profiled = async ({ userAgent, secure, client, body }: Asked): Promise<string[]> => {
  const file = join(folder, 'agents.yaml');
  writeFileSync(file, `- "${userAgent}"\n`);
  const origin = secure ? await kit.secureOrigin(['shop.localhost']) : await kit.origin();
  const roots = `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`;
  const proxy = await kit.proxy(`userAgents: ${file}\n${roots}`);
  const line = await openLine(proxy.port);
  const host = `shop.localhost:${origin.port}`;
  const lines = client.map((one) => `${one.replace('<host>', host)}\r\n`).join('');
  const controls = 'X-Crawlera-Profile: desktop\r\nX-Crawlera-Cookies: disable\r\n';
  const method = body === undefined ? 'GET' : 'POST';
  await line.ask(
    `${method} http${secure ? 's' : ''}://${host}/ HTTP/1.1\r\nhost: ${host}\r\n${AUTH}${controls}${lines}\r\n${body ?? ''}`,
  );
  line.socket.destroy();
  return linesOf(origin);
};

const CURL = ['user-agent: curl/8.14.1', 'accept: */*'];

/** Where a profile differs from the browser on purpose or for want of knowledge; docs/profiles.md tells them. */
const DIFFERENCES: readonly ((line: string) => string | undefined)[] = [
  // The client has to decode the answer: it is asked for in the client's encodings.
  (line) => line.replace(/^(Accept-Encoding): .*/, '$1: <the client its own>'),
  // The profile is Google's Chrome, which names that brand besides; grease and version are compared.
  (line) =>
    line.startsWith('sec-ch-ua:')
      ? `sec-ch-ua: ${(line.match(/"[^"]*";v="[^"]*"/g) ?? []).filter((brand) => !brand.startsWith('"Google Chrome"')).sort()}`
      : line,
];

/** A form sent by a script, as recorded; a profile says that a person sent it. */
const byPerson = (line: string): string | undefined => (line === 'Sec-Fetch-User: ?1' ? undefined : line);

const alike = (lines: readonly string[], differences = DIFFERENCES): string[] =>
  lines.flatMap((line) => {
    const told = differences.reduce<string | undefined>((one, differ) => one && differ(one), line);
    return told === undefined ? [] : [told];
  });

describe.each<[string, Recorded]>([
  ['Chromium 156', CHROMIUM_156],
  ['Firefox 153', FIREFOX_153],
])('G-03 a profile beside what %s was seen to send', (_name, { userAgent, secure, plain, form }) => {
  it('has the same lines over TLS', async () => {
    expect(alike(await profiled({ userAgent, secure: true, client: CURL }))).toEqual(alike(secure));
  });

  it('has the same lines over plain HTTP', async () => {
    expect(alike(await profiled({ userAgent, secure: false, client: CURL }))).toEqual(alike(plain));
  });

  it('puts the lines of a form, sent in another order and case, where the browser does', async () => {
    const own = /^(cookie|content|origin|referer|cache-control|accept-encoding)/i;
    const client = form.flatMap((line) => {
      const colon = line.indexOf(':');
      return own.test(line) ? [line.slice(0, colon).toLowerCase() + line.slice(colon)] : [];
    });
    const seen = await profiled({ userAgent, secure: true, client: [...client.reverse(), ...CURL], body: 'a=1' });
    expect(alike(seen, [...DIFFERENCES, byPerson])).toEqual(alike(form));
  });
});

const major = chromiumMajor();
const AGENT = CHROMIUM_156.userAgent.replace('156', String(major));

/** What the Chromium of this machine sends for a typed-in address. */
const captured = async (secure: boolean): Promise<string[]> => {
  const certificate = kit.authority().issue({ hosts: ['shop.localhost'] });
  const origin = kit.closing(await makeOrigin(secure ? { certificate } : {}));
  const url = secure ? `https://shop.localhost:${origin.port}/` : `http://shop.example:${origin.port}/`;
  const seen = until(() => origin.requests.length > 0, 'a request of Chromium', 50_000).then(() => linesOf(origin));
  return visit({ url, userAgent: AGENT, spki: spkiHash(certificate.cert) }, seen);
};

describe('G-03 a profile beside the Chromium of this machine', () => {
  if (major === undefined)
    process.stdout.write('There is no Chromium here: profiles are compared with recordings only.\n');

  it.each([
    ['TLS', true],
    ['plain HTTP', false],
  ])(
    'has the same lines over %s',
    async (_name, secure) => {
      // Without a browser there is nothing to compare but the recordings, above.
      const browser = major === undefined ? undefined : await captured(secure);
      if (browser === undefined) return;
      expect(browser.length).toBeGreaterThan(6);
      expect(alike(await profiled({ userAgent: AGENT, secure, client: CURL }))).toEqual(alike(browser));
      if (major === 156) expect(browser).toEqual(secure ? CHROMIUM_156.secure : CHROMIUM_156.plain);
    },
    60_000,
  );
});
