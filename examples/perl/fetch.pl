#!/usr/bin/perl
# Fetches one page through crawlgate: perl fetch.pl https://target.example/
use strict;
use warnings;
use LWP::UserAgent;

my $url   = $ARGV[0]                // 'https://target.example/';
my $proxy = $ENV{CRAWLGATE_PROXY}   // '127.0.0.1:8010';
my $key   = $ENV{CRAWLGATE_API_KEY} // '';

my $agent = LWP::UserAgent->new(
    timeout  => 600,    # the proxy holds a request back while the website's delay lasts
    ssl_opts => { $ENV{CRAWLGATE_CA} ? ( SSL_ca_file => $ENV{CRAWLGATE_CA} ) : () },
);
$agent->proxy( [ 'http', 'https' ], "http://$key:\@$proxy" );

my $response = $agent->get($url);
if ( ( $response->header('Client-Warning') // '' ) eq 'Internal response' ) {
    # Made by LWP itself: no tunnel (a wrong key on an https page, for instance) or no TLS.
    print STDERR $response->status_line, "\n";
    exit 1;
}
if ( my $error = $response->header('X-Crawlera-Error') ) {
    print STDERR $response->code, " $error: ", $response->content, "\n";
    my $wait = $response->header('Retry-After');
    print STDERR "try again in $wait s\n" if defined $wait;
    exit 1;
}
print $response->code, ' through ', $response->header('X-Crawlera-Slave'), "\n", $response->content, "\n";
