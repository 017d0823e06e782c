/** The clients whose real programs are tried here: how to see that one is installed, and where it comes from. */
import { spawnSync } from 'node:child_process';

export interface Program {
  /** As it stands in the list that a test run ends with. */
  readonly name: string;
  /** Prints its version and ends with 0 where the client is installed. */
  readonly probe: readonly [string, ...string[]];
  /** What to install, in Debian's words or npm's. */
  readonly from: string;
}

const python = (name: string, module: string, from: string): Program => ({
  name,
  probe: ['/usr/bin/python3', '-c', `import sys, ${module} as m; print(getattr(m, "__version__", sys.version))`],
  from,
});

const node = (name: string): Program => ({
  name,
  probe: ['node', '-p', `JSON.parse(fs.readFileSync("node_modules/${name}/package.json", "utf8")).version`],
  from: `npm ${name}`,
});

export const PROGRAMS = {
  curl: { name: 'curl', probe: ['curl', '--version'], from: 'curl' },
  wget: { name: 'wget', probe: ['wget', '--version'], from: 'wget' },
  urllib: python('Python urllib', 'urllib.request', 'python3'),
  requests: python('Python requests', 'requests', 'python3-requests'),
  httpx: python('Python httpx', 'httpx', 'python3-httpx'),
  aiohttp: python('Python aiohttp', 'aiohttp', 'python3-aiohttp'),
  scrapy: python('Scrapy', 'scrapy', 'python3-scrapy'),
  scrapyMiddleware: python('Scrapy with the vendor middleware’s behaviour', 'scrapy', 'python3-scrapy'),
  headlessProxy: { name: 'headless proxy’s pattern', probe: ['node', '--version'], from: 'Node' },
  chromium: { name: 'Chromium under Playwright', probe: ['chromium', '--version'], from: 'chromium' },
  browserPlugins: { name: 'browser plugins’ pattern', probe: ['chromium', '--version'], from: 'chromium' },
  nodeHttp: { name: 'Node http and https', probe: ['node', '--version'], from: 'Node' },
  got: node('got'),
  undici: node('undici'),
  axios: node('axios'),
  crawlee: node('@crawlee/core'),
  php: { name: 'PHP curl', probe: ['php', '-r', 'echo curl_version()["version"];'], from: 'php-cli php-curl' },
  ruby: { name: 'Ruby Net::HTTP', probe: ['ruby', '--version'], from: 'ruby' },
  javaHttpClient: { name: 'Java HttpClient', probe: ['javac', '-version'], from: 'default-jdk-headless' },
  javaUrlConnection: { name: 'Java HttpURLConnection', probe: ['javac', '-version'], from: 'default-jdk-headless' },
  go: { name: 'Go net/http', probe: ['go', 'version'], from: 'golang-go' },
  perl: {
    name: 'Perl LWP',
    probe: ['perl', '-MLWP::Protocol::https', '-e', 'print LWP->VERSION'],
    from: 'liblwp-protocol-https-perl',
  },
  r: { name: 'R httr', probe: ['Rscript', '-e', 'cat(as.character(packageVersion("httr")))'], from: 'r-cran-httr' },
  squidParent: { name: 'squid with crawlgate as parent', probe: ['/usr/sbin/squid', '-v'], from: 'squid-openssl' },
  privoxyParent: {
    name: 'privoxy with crawlgate as parent',
    probe: ['/usr/sbin/privoxy', '--version'],
    from: 'privoxy',
  },
  http2: { name: 'HTTP/2 inside tunnels', probe: ['curl', '--version'], from: 'curl' },
  tlsListener: { name: 'proxy over https', probe: ['curl', '--version'], from: 'curl' },
} as const satisfies Record<string, Program>;

export type ClientId = keyof typeof PROGRAMS;

/** First line of what the probe says; `undefined` where the client is not installed. */
export const versionOf = (id: ClientId): string | undefined => {
  const [command, ...args] = PROGRAMS[id].probe;
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) return undefined;
  return `${stdout}${stderr}`.trim().split('\n')[0] ?? '';
};

/** The suite's name, by which the list at the end finds its checks. */
export const suiteName = (id: ClientId): string => `client ${PROGRAMS[id].name}`;
