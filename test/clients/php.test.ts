/** PHP: the curl extension by its examples, and the http wrapper of its streams. */
import { expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient } from './kit.ts';
import { checkExamples, environment, firstLines, script, startTapped, type TappedTown, together } from './languages.ts';

/** A handle `$curl` for `$argv[1]` as the examples make it. */
const HANDLE = `
  function handle(string $url) {
    $curl = curl_init($url);
    curl_setopt_array($curl, [
      CURLOPT_PROXY => getenv('CRAWLGATE_PROXY'),
      CURLOPT_PROXYUSERPWD => getenv('CRAWLGATE_API_KEY') . ':',
      CURLOPT_CAINFO => getenv('CRAWLGATE_CA'),
      CURLOPT_RETURNTRANSFER => true,
      CURLOPT_HEADER => true,
    ]);
    return $curl;
  }
  $curl = handle($argv[1]);
`;

const php = (town: TappedTown, code: string, url: string): Promise<Exit> =>
  run('php', ['-r', code, url], { env: environment(town) });

/** `file_get_contents` with a proxy: the key is a header that PHP keeps to itself on https. */
const STREAM = `
  $page = file_get_contents($argv[1], false, stream_context_create([
    'http' => [
      'proxy' => 'tcp://' . getenv('CRAWLGATE_PROXY'),
      'request_fulluri' => true,
      'ignore_errors' => true,
      'header' => [
        'Proxy-Authorization: Basic ' . base64_encode(getenv('CRAWLGATE_API_KEY') . ':'),
        'X-Crawlera-UA: mobile',
      ],
    ],
    'ssl' => ['cafile' => getenv('CRAWLGATE_CA')],
  ]));
  echo $http_response_header[0], "\\n", $page;
`;

describeClient('php', () => {
  checkExamples({
    run: script('php', 'php', 'php'),
    untrusted: /^curl error 60: SSL certificate problem/,
    wrongKey: [/^407 bad_auth: $/m, /^curl error 56: CONNECT tunnel failed, response 407\nproxy answered 407$/m],
  });

  it('U-05 answers the challenge to CONNECT on the same connection with CURLAUTH_ANY', async () => {
    const town = await startTapped();
    const code = `${HANDLE} curl_setopt($curl, CURLOPT_PROXYAUTH, CURLAUTH_ANY); echo curl_exec($curl);`;
    const { out } = await php(town, code, `${town.site.httpsUrl}/any`);
    expect(out).toMatch(/GET \/any \[\]$/);
    const [heads = [], ...others] = town.tap.heads;
    expect(heads.map((head) => /^proxy-authorization/im.test(head))).toEqual([false, true]);
    expect(others).toEqual([]);
  });

  it('H-06 keeps a session for a tunnel that asked for it with CURLOPT_PROXYHEADER', async () => {
    const town = await startTapped({ upstreams: 2 });
    const code = `${HANDLE}
      curl_setopt($curl, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);
      curl_setopt($curl, CURLOPT_PROXYHEADER, ['X-Crawlera-Session: create']);
      curl_setopt($curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, true);
      echo curl_exec($curl), "\\n", curl_exec($curl);`;
    const { out } = await php(town, code, `${town.site.httpsUrl}/`);
    const ids = [...out.matchAll(/^X-Crawlera-Session: (\d+)/gm)].map(([, id]) => id);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
    expect(firstLines(town.tap)).toHaveLength(1);
  });

  it('S-09 sees bad_session_id and the id it was said of', async () => {
    const town = await startTapped();
    const code = `${HANDLE} curl_setopt($curl, CURLOPT_HTTPHEADER, ['X-Crawlera-Session: 1836172']); echo curl_exec($curl);`;
    const { out } = await php(town, code, `${town.site.httpsUrl}/`);
    expect(out).toContain('HTTP/1.1 400 Bad Request');
    expect(out).toContain('X-Crawlera-Error: bad_session_id');
    expect(out).toContain('X-Crawlera-Session: 1836172');
    expect(town.site.seen).toEqual([]);
  });

  it('fetches several pages at once with curl_multi', async () => {
    const town = await startTapped({ handler: together(6) });
    const code = `${HANDLE}
      $multi = curl_multi_init();
      $all = array_map(fn ($n) => handle("$argv[1]/$n"), range(1, 6));
      foreach ($all as $one) curl_multi_add_handle($multi, $one);
      do { curl_multi_exec($multi, $running); curl_multi_select($multi, 0.1); } while ($running);
      foreach ($all as $one) echo curl_getinfo($one, CURLINFO_RESPONSE_CODE), ' ';`;
    const { out } = await php(town, code, town.site.httpsUrl);
    expect(out.trim()).toBe('200 200 200 200 200 200');
  });

  it.each(['http', 'https'] as const)('T-02 T-05 fetches an %s page with file_get_contents', async (scheme) => {
    const town = await startTapped();
    const { out, err } = await php(town, STREAM, `${town.site[`${scheme}Url`]}/stream`);
    expect(err).toBe('');
    expect(out).toBe('HTTP/1.1 200 OK\nGET /stream []');
    expect(town.site.seen[0]?.headers['user-agent']).toMatch(/Mobile|iPhone|Android/);
    const own =
      scheme === 'http' ? /^GET http:\/\/shop\.localhost:\d+\/stream HTTP\/1\.1\r\n/ : /^CONNECT \S+ HTTP\/1\.0\r\n/;
    expect(town.tap.heads.flat()).toEqual([expect.stringMatching(own)]);
  });
});
