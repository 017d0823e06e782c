/** Looks at certificates the way clients do: fields, real handshakes, and the strict verifiers installed on this machine. */
import { spawnSync } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity, connect, type SecureContext, TLSSocket } from 'node:tls';
import forge from 'node-forge';
import { onTestFinished } from 'vitest';

/** A folder that is gone after the test. */
export const testFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-ca-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

export interface ReadExtension {
  readonly critical: boolean;
  /** DER of the value, hex. */
  readonly hex: string;
}

const parts = (node: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] =>
  node === undefined || typeof node.value === 'string' ? [] : node.value;

/** Extensions by OID, read from the bytes. */
export const extensionsOf = (certificate: X509Certificate): Map<string, ReadExtension> => {
  const tbs = parts(parts(forge.asn1.fromDer(certificate.raw.toString('latin1')))[0]);
  const list = parts(parts(tbs[7])[0]);
  return new Map(
    list.map((entry) => {
      const [oid, ...rest] = parts(entry);
      const value = rest.at(-1)?.value;
      return [
        forge.asn1.derToOid(String(oid?.value)),
        { critical: rest.length === 2, hex: Buffer.from(String(value), 'latin1').toString('hex') },
      ];
    }),
  );
};

/** One handshake over loopback; rejects when the client does not accept what it is shown. */
export const handshake = async (
  context: SecureContext,
  options: ConnectionOptions & { readonly name?: string } = {},
): Promise<TLSSocket> => {
  const server = createServer((socket: Socket) => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context });
    secure.on('error', () => secure.destroy());
    // Something to read, so that a TLS 1.3 client gets its tickets too.
    secure.once('secure', () => secure.write('.'));
    secure.on('data', (chunk) => secure.write(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { name, ...rest } = options;
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ...(name === undefined ? {} : { checkServerIdentity: (_host, shown) => checkServerIdentity(name, shown) }),
    ...rest,
  });
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  await new Promise<void>((resolve, reject) => {
    client.once('error', reject);
    client.once('secureConnect', resolve);
  });
  return client;
};

/** The certificate a client that accepts anything is shown. */
export const shownBy = async (context: SecureContext): Promise<X509Certificate> => {
  const client = await handshake(context, { rejectUnauthorized: false });
  const certificate = client.getPeerX509Certificate();
  client.destroy();
  if (!certificate) throw new Error('no certificate was shown');
  return certificate;
};

const runs = (command: string, args: readonly string[]): boolean => spawnSync(command, args).status === 0;

const absent = (what: string): undefined => {
  process.stderr.write(`${what} is not installed: its check of the certificates did not run, those of Node did\n`);
  return undefined;
};

const openssl = runs('openssl', ['version']) ? 'openssl' : absent('openssl');

const pythons = (): string[] => {
  const root = join(process.env['PYENV_ROOT'] ?? join(homedir(), '.pyenv'), 'versions');
  const found = (() => {
    try {
      return readdirSync(root).map((version) => join(root, version, 'bin', 'python3'));
    } catch {
      return [];
    }
  })();
  return ['python3.14', 'python3.13', 'python3', ...found];
};

const strictPython =
  pythons().find((python) => runs(python, ['-c', 'import ssl,sys; assert sys.version_info >= (3, 13)'])) ??
  absent('Python 3.13');

/** What `openssl verify -x509_strict` says against a leaf; empty = accepted, or no openssl here. */
export const opensslComplaint = (
  caPem: string,
  leaf: X509Certificate,
  host: { readonly dns?: string; readonly ip?: string } = {},
  untrustedPem?: string,
): string => {
  if (openssl === undefined) return '';
  const folder = testFolder();
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-no-CApath', '-CAfile', file('ca.pem', caPem)];
  if (host.dns !== undefined) args.push('-verify_hostname', host.dns);
  if (host.ip !== undefined) args.push('-verify_ip', host.ip);
  if (untrustedPem !== undefined) args.push('-untrusted', file('untrusted.pem', untrustedPem));
  const { status, stdout, stderr } = spawnSync(openssl, [...args, file('leaf.pem', leaf.toString())]);
  return status === 0 ? '' : `${stdout}${stderr}`;
};

const PYTHON_CLIENT = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
assert context.verify_flags & ssl.VERIFY_X509_STRICT
raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])), timeout=10)
with context.wrap_socket(raw, server_hostname=sys.argv[3]) as secure:
    print(secure.version())
`;

/** Runs a strict Python against a port, without blocking this process. `undefined` when there is no Python >= 3.13. */
export const pythonCommand = (caFile: string, port: number, host: string): [string, string[]] | undefined =>
  strictPython === undefined ? undefined : [strictPython, ['-c', PYTHON_CLIENT, caFile, String(port), host]];
