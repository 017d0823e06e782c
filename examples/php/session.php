<?php
// Opens a page, then sends a form through the same upstream: php session.php https://target.example/
declare(strict_types=1);

$url = $argv[1] ?? 'https://target.example/';

/** One handle for all requests keeps the connection to the proxy. */
$curl = curl_init();

function ask(CurlHandle $curl, string $url, string $session, ?string $form = null): array
{
    $headers = [];
    curl_reset($curl);
    curl_setopt_array($curl, [
        CURLOPT_URL => $url,
        CURLOPT_PROXY => getenv('CRAWLGATE_PROXY') ?: '127.0.0.1:8010',
        CURLOPT_PROXYUSERPWD => getenv('CRAWLGATE_API_KEY') . ':',
        CURLOPT_HTTPHEADER => ["X-Crawlera-Session: $session", 'X-Crawlera-Profile: desktop'],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_ENCODING => '',
        CURLOPT_TIMEOUT => 600,
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$headers): int {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower($name)] = trim($value);
            return strlen($line);
        },
    ]);
    if (getenv('CRAWLGATE_CA')) {
        curl_setopt($curl, CURLOPT_CAINFO, getenv('CRAWLGATE_CA'));
    }
    if ($form !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $form);
    }
    $body = curl_exec($curl);
    if ($body === false) {
        throw new RuntimeException(curl_error($curl), curl_errno($curl));
    }
    if (isset($headers['x-crawlera-error'])) {
        throw new RuntimeException("{$headers['x-crawlera-error']}: $body");
    }
    return [$headers['x-crawlera-session'], $body];
}

[$session, $page] = ask($curl, $url, 'create');
echo "session $session\n$page\n";
[, $answer] = ask($curl, $url, $session, http_build_query(['q' => 'blue shoes']));
echo "$answer\n";
