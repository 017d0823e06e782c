/** Requests real browsers sent to a bare socket on loopback, written down as they came. `<host>` stands for the authority. */

export interface Recorded {
  readonly userAgent: string;
  /** Typed into the address bar, over TLS. */
  readonly secure: readonly string[];
  /** The same of a host that is reached over plain HTTP. */
  readonly plain: readonly string[];
  /** A form sent by a script from /start, over TLS, with a cookie. */
  readonly form: readonly string[];
}

const CHROMIUM_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';
const CHROMIUM_ACCEPT =
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';
const CHROMIUM_HINTS = [
  'sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
];

/** Debian's Chromium 156.0.8078.79, headless, on Linux; the user agent given on its command line. */
export const CHROMIUM_156: Recorded = {
  userAgent: CHROMIUM_AGENT,
  secure: [
    'Host: <host>',
    'Connection: keep-alive',
    ...CHROMIUM_HINTS,
    'Upgrade-Insecure-Requests: 1',
    `User-Agent: ${CHROMIUM_AGENT}`,
    CHROMIUM_ACCEPT,
    'Sec-Fetch-Site: none',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-User: ?1',
    'Sec-Fetch-Dest: document',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9',
  ],
  plain: [
    'Host: <host>',
    'Connection: keep-alive',
    'Upgrade-Insecure-Requests: 1',
    `User-Agent: ${CHROMIUM_AGENT}`,
    CHROMIUM_ACCEPT,
    'Accept-Encoding: gzip, deflate',
    'Accept-Language: en-US,en;q=0.9',
  ],
  form: [
    'Host: <host>',
    'Connection: keep-alive',
    'Content-Length: 3',
    'Cache-Control: max-age=0',
    ...CHROMIUM_HINTS,
    'Upgrade-Insecure-Requests: 1',
    'Content-Type: application/x-www-form-urlencoded',
    `User-Agent: ${CHROMIUM_AGENT}`,
    'Origin: https://<host>',
    CHROMIUM_ACCEPT,
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-Dest: document',
    'Referer: https://<host>/start',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9',
    'Cookie: c=1',
  ],
};

const FIREFOX_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';
const FIREFOX_ACCEPT = [
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.9',
];

/** Debian's Firefox 153.7.0esr, headless, on Linux. Its TLS requests were taken from a `.localhost` host, which it trusts alike; https stands for its http. */
export const FIREFOX_153: Recorded = {
  userAgent: FIREFOX_AGENT,
  secure: [
    'Host: <host>',
    `User-Agent: ${FIREFOX_AGENT}`,
    ...FIREFOX_ACCEPT,
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Connection: keep-alive',
    'Upgrade-Insecure-Requests: 1',
    'Sec-Fetch-Dest: document',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-Site: none',
    'Sec-Fetch-User: ?1',
    'Priority: u=0, i',
  ],
  plain: [
    'Host: <host>',
    `User-Agent: ${FIREFOX_AGENT}`,
    ...FIREFOX_ACCEPT,
    'Accept-Encoding: gzip, deflate',
    'Connection: keep-alive',
    'Upgrade-Insecure-Requests: 1',
    'Priority: u=0, i',
  ],
  form: [
    'Host: <host>',
    `User-Agent: ${FIREFOX_AGENT}`,
    ...FIREFOX_ACCEPT,
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Content-Type: application/x-www-form-urlencoded',
    'Content-Length: 3',
    'Origin: https://<host>',
    'Connection: keep-alive',
    'Referer: https://<host>/start',
    'Cookie: c=1',
    'Upgrade-Insecure-Requests: 1',
    'Sec-Fetch-Dest: document',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-Site: same-origin',
    'Priority: u=0, i',
  ],
};
