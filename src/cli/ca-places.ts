/** Texts that tell where each family of clients wants the CA certificate: its options, and the commands of system stores. */

/** Placeholder of the certificate's path. */
const FILE = '<file>';

const CLIENTS: readonly (readonly [client: string, place: string])[] = [
  ['curl', `--cacert ${FILE}`],
  ['Wget', `--ca-certificate=${FILE}`],
  ['Python requests', `REQUESTS_CA_BUNDLE=${FILE}, or verify=...`],
  ['Python urllib, httpx', `SSL_CERT_FILE=${FILE}, or an ssl context`],
  ['Node', `NODE_EXTRA_CA_CERTS=${FILE}`],
  ['PHP', `-d curl.cainfo=${FILE} -d openssl.cafile=${FILE}`],
  ['Go, Ruby', `SSL_CERT_FILE=${FILE}`],
  ['Perl LWP', `PERL_LWP_SSL_CA_FILE=${FILE}`],
  ['R', `CURL_CA_BUNDLE=${FILE}`],
  ['Java', `keytool -importcert -noprompt -storetype PKCS12 -keystore trust.p12 -alias crawlgate -file ${FILE}`],
  ['Chromium on Linux', 'crawlgate ca install --nss ~/.pki/nssdb'],
  ['everything', 'crawlgate ca install --system'],
];

const WIDTH = Math.max(...CLIENTS.map(([client]) => client.length)) + 2;

/** As a shell takes it as one word. */
const quoted = (path: string): string => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);

export const clientPlaces = (file: string): string[] =>
  CLIENTS.map(([client, place]) => `  ${client.padEnd(WIDTH)}${place.replaceAll(FILE, quoted(file))}`);

/** What an administrator types; run by nobody but him. */
const SYSTEM = [
  '# Debian, Ubuntu',
  `sudo cp ${FILE} /usr/local/share/ca-certificates/crawlgate.crt && sudo update-ca-certificates`,
  '# Fedora, RHEL',
  `sudo cp ${FILE} /etc/pki/ca-trust/source/anchors/crawlgate.crt && sudo update-ca-trust`,
  '# Alpine',
  `sudo cp ${FILE} /usr/local/share/ca-certificates/crawlgate.crt && sudo update-ca-certificates`,
  '# macOS',
  `sudo security add-trusted-cert -d -r trustRoot -p ssl -k /Library/Keychains/System.keychain ${FILE}`,
  '# Windows, as administrator',
  `certutil -addstore -f Root ${FILE}`,
];

/** The commands that put the CA into the store of the whole machine. */
export const systemCommands = (file: string): string[] => SYSTEM.map((line) => line.replaceAll(FILE, quoted(file)));
