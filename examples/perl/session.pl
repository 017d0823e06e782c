#!/usr/bin/perl
# Opens a page, then sends a form through the same upstream: perl session.pl https://target.example/
use strict;
use warnings;
use HTTP::Request::Common qw(GET POST);
use LWP::UserAgent;

my $url   = $ARGV[0]                // 'https://target.example/';
my $proxy = $ENV{CRAWLGATE_PROXY}   // '127.0.0.1:8010';
my $key   = $ENV{CRAWLGATE_API_KEY} // '';

my $agent = LWP::UserAgent->new(
    timeout    => 600,
    keep_alive => 4,      # connections to the proxy that are kept
    ssl_opts   => { $ENV{CRAWLGATE_CA} ? ( SSL_ca_file => $ENV{CRAWLGATE_CA} ) : () },
);
$agent->proxy( [ 'http', 'https' ], "http://$key:\@$proxy" );

sub ask {
    my ( $request, $session ) = @_;
    $request->header( 'X-Crawlera-Session' => $session, 'X-Crawlera-Profile' => 'desktop' );
    my $response = $agent->request($request);
    my $error = $response->header('X-Crawlera-Error') // $response->header('Client-Warning');
    die "$error: ", $response->status_line, "\n" if defined $error;
    return $response;
}

my $page    = ask( GET($url), 'create' );
my $session = $page->header('X-Crawlera-Session');
print "session $session\n", $page->content, "\n";
print ask( POST( $url, [ q => 'blue shoes' ] ), $session )->content, "\n";
