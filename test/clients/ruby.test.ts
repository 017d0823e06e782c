/** Ruby's Net::HTTP by its examples, and what it does beside them. */
import { expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { until } from '../support/sockets.ts';
import { describeClient } from './kit.ts';
import { checkExamples, environment, script, startTapped, type TappedTown, together } from './languages.ts';

const OPEN = `
  require 'net/http'
  URL = URI(ARGV.fetch(0))
  def open
    host, port = ENV['CRAWLGATE_PROXY'].split(':')
    http = Net::HTTP.new(URL.host, URL.port, host, port.to_i, ENV['CRAWLGATE_API_KEY'], '')
    http.use_ssl = URL.scheme == 'https'
    http.ca_file = ENV['CRAWLGATE_CA'] if ENV['CRAWLGATE_CA']
    http
  end
`;

const ruby = (town: TappedTown, code: string, url: string, env = environment(town)): Promise<Exit> =>
  run('ruby', ['-e', `${OPEN}${code}`, url], { env });

describeClient('ruby', () => {
  checkExamples({
    run: script('ruby', 'ruby', 'rb'),
    untrusted: /^TLS: .*certificate verify failed/,
    wrongKey: [/^407 bad_auth: $/m, /^tunnel refused: 407 "Proxy Authentication Required"$/m],
  });

  it('C-01 takes the CA from SSL_CERT_FILE as well', async () => {
    const town = await startTapped();
    const env = { ...environment(town, { trusts: false }), SSL_CERT_FILE: town.caFile };
    const { out } = await ruby(town, 'puts open.start { |c| c.get(URL.path).body }', `${town.site.httpsUrl}/file`, env);
    expect(out).toBe('GET /file []\n');
  });

  it('T-17 sends a body in chunks after 100 Continue', async () => {
    const town = await startTapped();
    const code = `
      require 'stringio'
      post = Net::HTTP::Post.new(URL)
      post['Expect'] = '100-continue'
      post['Transfer-Encoding'] = 'chunked'
      post['Content-Type'] = 'text/plain'
      post.body_stream = StringIO.new('long ' * 3)
      http = open
      http.continue_timeout = 30
      puts http.start { |c| c.request(post).body }
    `;
    const { out, err } = await ruby(town, code, `${town.site.httpsUrl}/up`);
    expect(err).toBe('');
    expect(out).toBe('POST /up [long long long ]\n');
    expect(town.site.seen[0]?.headers['expect']).toBeUndefined();
  });

  it.each([
    ['asks twice where max_retries is left at 1', '', 2],
    ['asks once with max_retries = 0', 'http.max_retries = 0', 1],
  ])('T-19 %s and read_timeout runs out', async (_what, setting, times) => {
    const town = await startTapped({ handler: () => {} });
    const code = `
      http = open
      ${setting}
      http.read_timeout = 0.5
      begin
        http.start { |c| c.get(URL.path) }
      rescue Net::ReadTimeout
        puts 'gave up'
      end
    `;
    const { out } = await ruby(town, code, `${town.site.httpUrl}/slow`);
    expect(out).toBe('gave up\n');
    await until(() => town.proxy.receipts.length === times, 'receipts of the requests given up');
    expect(town.proxy.receipts.map(({ outcome }) => outcome)).toEqual(Array.from({ length: times }, () => 'gone'));
  });

  it('fetches several pages at once in threads', async () => {
    const town = await startTapped({ handler: together(6) });
    const code =
      "puts Array.new(6) { |n| Thread.new { open.start { |c| c.get('/' + n.to_s).code } } }.map(&:value).join(' ')";
    const { out } = await ruby(town, code, town.site.httpsUrl);
    expect(out).toBe('200 200 200 200 200 200\n');
  });
});
