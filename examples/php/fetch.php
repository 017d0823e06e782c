<?php
// Fetches one page through crawlgate: php fetch.php https://target.example/
declare(strict_types=1);

$url = $argv[1] ?? 'https://target.example/';
$headers = [];

$curl = curl_init($url);
curl_setopt_array($curl, [
    CURLOPT_PROXY => getenv('CRAWLGATE_PROXY') ?: '127.0.0.1:8010',
    CURLOPT_PROXYUSERPWD => getenv('CRAWLGATE_API_KEY') . ':',
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_ENCODING => '',
    // The proxy holds a request back while the website's delay lasts.
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

$body = curl_exec($curl);
if ($body === false) {
    // A wrong key on an https page ends here: the tunnel is refused with 407.
    fwrite(STDERR, sprintf("curl error %d: %s\n", curl_errno($curl), curl_error($curl)));
    fwrite(STDERR, sprintf("proxy answered %d\n", curl_getinfo($curl, CURLINFO_HTTP_CONNECTCODE)));
    exit(1);
}

$status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
if (isset($headers['x-crawlera-error'])) {
    fwrite(STDERR, "$status {$headers['x-crawlera-error']}: $body\n");
    if (isset($headers['retry-after'])) {
        fwrite(STDERR, "try again in {$headers['retry-after']} s\n");
    }
    exit(1);
}
echo "$status through {$headers['x-crawlera-slave']}\n$body\n";
