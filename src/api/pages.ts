/** What anyone may read on the proxy port: the CA certificate and a page that says what this is. */
import { lastValue } from '../model/headers.ts';
import { parseAuthority } from '../policy/route.ts';
import type { Call, Route } from './router.ts';

interface Ports {
  readonly version: string;
  /** `host:port` as clients reach this proxy, for one that does not say how it did. */
  address(): string;
  /** PEM of the CA, and of its predecessor while both are in use (C-02, robustness E10). */
  certificatePem(): string;
}

const pem = (certificatePem: () => string) => () => ({
  status: 200,
  reason: 'OK',
  headers: ['Content-Type', 'application/x-x509-ca-cert', 'Cache-Control', 'no-store'],
  body: certificatePem(),
});

/** As whoever asks reached it: behind a published port or another name only the client knows. */
const addressFor = ({ headers }: Call, ports: Ports): string => {
  const host = lastValue(headers, 'host');
  return host !== undefined && parseAuthority(host, 0) ? host : ports.address();
};

export const pageRoutes = (ports: Ports): readonly Route[] => [
  {
    path: /^\/(?:crawlera-ca|zyte-smartproxy-ca|zyte-ca)\.crt$/,
    open: true,
    methods: { GET: pem(ports.certificatePem) },
  },
  {
    path: /^\/$/,
    open: true,
    methods: {
      GET: (call) => ({
        status: 200,
        reason: 'OK',
        headers: [
          'Content-Type',
          'text/html; charset=utf-8',
          'Content-Security-Policy',
          "default-src 'none'; style-src 'unsafe-inline'",
          'X-Content-Type-Options',
          'nosniff',
        ],
        body: welcome(ports.version, addressFor(call, ports)),
      }),
    },
  },
];

const escaped = (value: string): string =>
  value.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign] as string);

const welcome = (version: string, address: string): string => {
  const at = escaped(address);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>crawlgate</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0; } h1 small { font-size: .9rem; font-weight: 400; opacity: .65; }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; overflow-x: auto; font-size: .87rem; }
a.button { display: inline-block; border: 1px solid var(--line); border-radius: .5rem; padding: .45rem .9rem; text-decoration: none; }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid var(--line); padding: .35rem .5rem .35rem 0; vertical-align: top; }
</style>
</head>
<body>
<h1>crawlgate <small>${escaped(version)}</small></h1>
<p>This is a forward proxy for web crawlers, speaking the Crawlera protocol. It is running; a browser window is
just not how it is meant to be used.</p>
<h2>1. Point a client at it</h2>
<pre>curl -x ${at} -U &lt;key&gt;: http://target.example/</pre>
<p>The key is the user name, the password stays empty. A key made at first start is in <code>data/api-key</code>.</p>
<h2>2. Trust its certificate authority for https</h2>
<p><a class="button" href="/crawlera-ca.crt">Download crawlera-ca.crt</a></p>
<pre>curl -x ${at} -U &lt;key&gt;: --cacert crawlera-ca.crt https://target.example/</pre>
<h2>3. Direct endpoints</h2>
<table>
<tr><td><code>POST /sessions</code></td><td>makes a session and answers with its id</td></tr>
<tr><td><code>GET /sessions</code></td><td>lists your sessions</td></tr>
<tr><td><code>DELETE /sessions/&lt;id&gt;</code></td><td>ends one</td></tr>
<tr><td><code>GET /fetch?url=&lt;encoded&gt;</code></td><td>fetches a page without a proxy setting</td></tr>
</table>
<pre>curl -u &lt;key&gt;: ${at}/sessions -X POST</pre>
</body>
</html>
`;
};
