/** R's httr, which is libcurl underneath, by its examples; and base R. */
import { expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient } from './kit.ts';
import { checkExamples, environment, firstLines, script, startTapped, type TappedTown, together } from './languages.ts';

const r = (code: string, url: string, env: Record<string, string>): Promise<Exit> =>
  run('Rscript', ['-e', `url <- commandArgs(TRUE)[1]; ${code}`, url], { env });

/** What libcurl reads where nothing is said in R. */
const fromOutside = (town: TappedTown) => {
  const proxy = `http://${town.key}:@${town.tap.address}`;
  return { http_proxy: proxy, https_proxy: proxy, CURL_CA_BUNDLE: town.caFile };
};

describeClient('r', () => {
  checkExamples({
    run: script('Rscript', 'r', 'R'),
    untrusted: /SSL certificate problem/,
    wrongKey: [/^407 bad_auth: $/m, /^CONNECT tunnel failed, response 407$/m],
  });

  it.each([
    ['url()', 'cat(readLines(base::url(url, method = "libcurl"), warn = FALSE))'],
    [
      'download.file',
      'f <- tempfile(); download.file(url, f, "libcurl", quiet = TRUE); cat(readLines(f, warn = FALSE))',
    ],
  ])("T-04 C-01 takes proxy and CA from libcurl's variables in %s", async (_what, code) => {
    const town = await startTapped();
    const { out, err } = await r(code, `${town.site.httpsUrl}/env`, fromOutside(town));
    expect(err).toBe('');
    expect(out).toBe('GET /env []');
    expect(firstLines(town.tap)).toEqual([`CONNECT shop.localhost:${town.site.https.port}`]);
  });

  it('U-05 takes the proxy from the environment in httr, and answers the challenge on the same connection', async () => {
    const town = await startTapped();
    const code = `
      library(httr)
      cat(content(GET(url, config(cainfo = Sys.getenv("CA"))), "text", encoding = "UTF-8"))
    `;
    const { https_proxy } = fromOutside(town);
    const { out, err } = await r(code, `${town.site.httpsUrl}/env`, { https_proxy, CA: town.caFile });
    expect(err).toBe('');
    expect(out).toBe('GET /env []');
    const [heads = [], ...others] = town.tap.heads;
    expect(heads.map((head) => /^proxy-authorization/im.test(head))).toEqual([false, true]);
    expect(others).toEqual([]);
  });

  it('fetches several pages at once with a pool of the curl package', async () => {
    const town = await startTapped({ handler: together(6) });
    const code = `
      suppressMessages(library(curl))
      pool <- new_pool(total_con = 6, host_con = 6)
      for (n in 1:6) {
        handle <- new_handle(url = paste0(url, "/", n), proxy = Sys.getenv("CRAWLGATE_PROXY"),
          proxyuserpwd = paste0(Sys.getenv("CRAWLGATE_API_KEY"), ":"), cainfo = Sys.getenv("CRAWLGATE_CA"))
        multi_add(handle, done = function(answer) cat(answer$status_code, ""), pool = pool)
      }
      invisible(multi_run(pool = pool))
    `;
    const { out, err } = await r(code, town.site.httpsUrl, environment(town));
    expect(err).toBe('');
    expect(out.trim()).toBe('200 200 200 200 200 200');
  });
});
