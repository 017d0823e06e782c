/** urllib, requests, httpx and aiohttp by their example programs, with their own verification of certificates. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectNothingOfOurs } from './command-support.ts';
import { describeClient } from './kit.ts';
import { banning, firstLines, startTapped, together, WRONG_KEY } from './languages.ts';
import type { ClientId } from './programs.ts';
import { runPython } from './python-support.ts';

const SCHEMES = ['http', 'https'] as const;

interface Library {
  readonly id: ClientId;
  /** What it says of a wrong key on an https page. */
  readonly refused: string;
  /** It ends with this status when something failed. */
  readonly failed: 0 | 1;
  /** What it says where another CA is trusted. */
  readonly untrusted: string;
}

const VERIFY = 'CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate';

const LIBRARIES: readonly Library[] = [
  {
    id: 'urllib',
    refused: 'Tunnel connection failed: 407 Proxy Authentication Required',
    failed: 1,
    untrusted: VERIFY,
  },
  {
    id: 'requests',
    refused: "Caused by ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407",
    failed: 1,
    untrusted: `SSLError: HTTPSConnectionPool(`,
  },
  { id: 'httpx', refused: 'ProxyError: 407 Proxy Authentication Required', failed: 0, untrusted: VERIFY },
  {
    id: 'aiohttp',
    refused: '407 for the tunnel: Proxy Authentication Required',
    failed: 0,
    untrusted: 'ClientConnectorCertificateError: Cannot connect to host',
  },
];

for (const { id, refused, failed, untrusted } of LIBRARIES)
  describeClient(id, () => {
    const example = `${id}_fetch`;

    it.each(SCHEMES)(`T-02 T-04 U-01 fetches an %s page with examples/python/${example}.py`, async (scheme) => {
      const town = await startTapped({ upstreams: 1 });
      const url = `${town.site[`${scheme}Url`]}/a?b=1`;
      const { out, err, status } = await runPython(example, town, [url]);
      expect([status, err]).toEqual([0, '']);
      expect(out).toBe(`200 through 127.0.0.1:${town.upstreams[0]?.port}\nGET /a?b=1 []\n`);
      const first = scheme === 'http' ? `GET ${url}` : `CONNECT shop.localhost:${town.site.https.port}`;
      expect(firstLines(town.tap)).toEqual([first]);
      expectNothingOfOurs(town.site.seen);
    });

    it('C-01 refuses an https page where another CA is trusted', async () => {
      const town = await startTapped();
      const caFile = join(town.folder, 'other.pem');
      writeFileSync(caFile, town.site.root);
      const { out, err, status } = await runPython(example, { ...town, caFile }, [`${town.site.httpsUrl}/`]);
      expect(status).toBe(failed);
      expect(out + err).toContain(untrusted);
      expect(town.site.seen).toEqual([]);
    });

    it('U-04 shows a wrong key: status 407 for http, an error of its own for https', async () => {
      const town = await startTapped();
      const plain = await runPython(example, town, [`${town.site.httpUrl}/`], { key: WRONG_KEY });
      expect([plain.status, plain.out + plain.err]).toEqual([failed, '407 bad_auth: \n']);
      const secure = await runPython(example, town, [`${town.site.httpsUrl}/`], { key: WRONG_KEY });
      expect(secure.status).toBe(failed);
      expect(secure.out + secure.err).toContain(refused);
      expect(secure.out + secure.err).not.toContain(WRONG_KEY);
      expect(town.site.seen).toEqual([]);
    });

    it.each(SCHEMES)('E-01 T-06 shows X-Crawlera-Error of an %s page', async (scheme) => {
      const town = await startTapped({ upstreams: 2, handler: banning });
      const { out, err, status } = await runPython(example, town, [town.site[`${scheme}Url`]]);
      expect([status, out + err]).toEqual([failed, '503 slavebanned: Website crawl ban\n']);
    });
  });

for (const id of ['httpx', 'aiohttp'] as const)
  describeClient(id, () => {
    it.each(SCHEMES)('L-01 fetches eight %s pages at the same time', async (scheme) => {
      const town = await startTapped({ upstreams: 2, handler: together(8) });
      const urls = Array.from({ length: 8 }, (_, i) => `${town.site[`${scheme}Url`]}/${i}`);
      const { out, status } = await runPython(`${id}_fetch`, town, urls);
      expect(status).toBe(0);
      expect(out.match(/^page \/\d$/gm)).toEqual(urls.map((_, i) => `page /${i}`));
      expect(town.tap.heads).toHaveLength(8);
    });
  });
