/** Ways of trusting the CA that no other file tries: a browser's store and flag, Debian's store, settings of PHP. */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { runCa } from '../../src/cli/ca.ts';
import { run } from '../support/child.ts';
import { proxyOf } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';

const crawlgateCa = async (town: Town, ...words: readonly string[]): Promise<string[]> => {
  const lines: string[] = [];
  expect(await runCa(words, dirname(town.caFile), (line) => lines.push(line)), lines.join('\n')).toBe(0);
  return lines;
};

describeClient('chromium', () => {
  it('C-04 trusts what crawlgate ca install --nss put into the database of its HOME', async () => {
    const town = await startTown();
    await crawlgateCa(town, 'install', '--nss', join(town.folder, '.pki', 'nssdb'));
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu'],
      env: { PATH: process.env['PATH'] ?? '', HOME: town.folder },
      proxy: proxyOf(town),
    });
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`${town.site.httpsUrl}/trusted`);
    expect(await page.textContent('body')).toBe('page /trusted');
  }, 60_000);
});

const UPDATE = '/usr/sbin/update-ca-certificates';

describeClient('curl', () => {
  it.runIf(existsSync(UPDATE))(
    "C-01 finds the CA in Debian's store after the commands of crawlgate ca install --system",
    async () => {
      const town = await startTown();
      const lines = await crawlgateCa(town, 'install', '--system');
      const line = lines[lines.indexOf('# Debian, Ubuntu') + 1] ?? '';
      // In folders of the test's own, for which no administrator is needed.
      const folder = (name: string): string => mkdtempSync(join(town.folder, name));
      const [local, etc, hooks] = [folder('local'), folder('etc'), folder('hooks')] as const;
      const conf = join(town.folder, 'ca-certificates.conf');
      writeFileSync(conf, '# none of the others\n');
      const places = `--certsconf ${conf} --localcertsdir ${local} --etccertsdir ${etc} --hooksdir ${hooks}`;
      const command = line
        .replace('sudo cp', 'cp')
        .replace('/usr/local/share/ca-certificates', local)
        .replace('sudo update-ca-certificates', `${UPDATE} ${places}`);
      expect(command).not.toMatch(/sudo|\/usr\/local/);
      const { status, out, err } = await run('sh', ['-c', command]);
      expect([status, err, out]).toEqual([0, expect.anything(), expect.stringContaining('1 added')]);
      const url = `${town.site.httpsUrl}/a`;
      const args = ['-sS', '-x', town.proxyUrl, url];
      for (const means of [{ CURL_CA_BUNDLE: join(etc, 'ca-certificates.crt') }, { SSL_CERT_DIR: etc }])
        expect(await run('curl', args, { env: means })).toMatchObject({
          status: 0,
          out: expect.stringContaining('page /a'),
        });
    },
  );
});

describeClient('php', () => {
  it('C-01 takes the CA from its settings, for curl and for file_get_contents', async () => {
    const town = await startTown();
    const code = `
      $curl = curl_init("${town.site.httpsUrl}/curl");
      curl_setopt_array($curl, [CURLOPT_PROXY => "${town.proxyUrl}", CURLOPT_RETURNTRANSFER => true]);
      echo curl_exec($curl) ?: curl_error($curl);
      $key = base64_encode("${town.key}:");
      $http = ["proxy" => "tcp://${town.address}", "request_fulluri" => true, "header" => "Proxy-Authorization: Basic $key"];
      echo file_get_contents("${town.site.httpsUrl}/stream", false, stream_context_create(["http" => $http]));`;
    const settings = ['-d', `curl.cainfo=${town.caFile}`, '-d', `openssl.cafile=${town.caFile}`];
    const { out } = await run('php', [...settings, '-r', code]);
    expect(out).toContain('page /curl');
    expect(out).toContain('page /stream');
  });
});
