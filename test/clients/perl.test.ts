/** Perl's LWP by its examples, its environment variables, and Net::HTTP underneath it. */
import { expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient } from './kit.ts';
import { checkExamples, environment, firstLines, script, startTapped, type TappedTown } from './languages.ts';

const perl = (town: TappedTown, code: string, url: string, env = environment(town)): Promise<Exit> =>
  run('perl', ['-e', `use strict; use warnings; my $url = $ARGV[0]; ${code}`, url], { env });

/** LWP without a tunnel: the proxy does the TLS. */
const ABSOLUTE = `
  use MIME::Base64; use Net::HTTP;
  my $line = Net::HTTP->new( Host => $ENV{CRAWLGATE_PROXY}, KeepAlive => 1 ) or die $@;
  for my $way ( '/one', '/two' ) {
    $line->write_request( GET => "$url$way", Host => $url =~ s{^https://}{}r,
      'Proxy-Authorization' => 'Basic ' . encode_base64( "$ENV{CRAWLGATE_API_KEY}:", '' ) );
    my ($code) = $line->read_response_headers;
    my $body = '';
    while ( $line->read_entity_body( my $part, 1024 ) ) { $body .= $part }
    print "$code $body\\n";
  }
`;

describeClient('perl', () => {
  checkExamples({
    run: script('perl', 'perl', 'pl'),
    untrusted: /^500 SSL upgrade failed: .*certificate verify failed/,
    wrongKey: [/^407 bad_auth: $/m, /^500 establishing SSL tunnel failed: 407 Proxy Authentication Required$/m],
  });

  it('T-04 C-01 takes proxy and CA from the environment with env_proxy', async () => {
    const town = await startTapped();
    const proxy = `http://${town.key}:@${town.tap.address}`;
    const env = { http_proxy: proxy, https_proxy: proxy, PERL_LWP_SSL_CA_FILE: town.caFile };
    const code = 'use LWP::UserAgent; print LWP::UserAgent->new( env_proxy => 1 )->get($url)->decoded_content;';
    const { out, err } = await perl(town, code, `${town.site.httpsUrl}/env`, env);
    expect(err).toBe('');
    expect(out).toBe('GET /env []');
    expect(firstLines(town.tap)).toEqual([`CONNECT shop.localhost:${town.site.https.port}`]);
  });

  it('T-03 fetches https pages in absolute form with Net::HTTP, two on one connection', async () => {
    const town = await startTapped();
    const { httpsUrl } = town.site;
    const { out, err } = await perl(town, ABSOLUTE, httpsUrl);
    expect(err).toBe('');
    expect(out).toBe('200 GET /one []\n200 GET /two []\n');
    expect(town.tap.heads.map((heads) => heads.length)).toEqual([2]);
    expect(firstLines(town.tap)).toEqual([`GET ${httpsUrl}/one`, `GET ${httpsUrl}/two`]);
    expect(town.site.seen.map(({ secure }) => secure)).toEqual([true, true]);
  });

  it('G-02 keeps its own User-Agent with X-Crawlera-UA: pass', async () => {
    const town = await startTapped();
    const code = `
      use LWP::UserAgent;
      my $agent = LWP::UserAgent->new( agent => 'my-crawler/1.0' );
      $agent->proxy( http => "http://$ENV{CRAWLGATE_API_KEY}:\\@$ENV{CRAWLGATE_PROXY}" );
      $agent->default_header( 'X-Crawlera-UA' => 'pass' );
      print $agent->get($url)->code;
    `;
    const { out } = await perl(town, code, town.site.httpUrl);
    expect(out).toBe('200');
    expect(town.site.seen[0]?.headers['user-agent']).toBe('my-crawler/1.0');
  });
});
