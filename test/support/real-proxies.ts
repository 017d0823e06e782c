/** Starts tinyproxy, squid, dante and privoxy where they are installed: proxies that nobody of this project wrote. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestCertificate } from './certificates.ts';
import { listen } from './sockets.ts';

export interface RealProxy {
  readonly port: number;
  /** Squid only: its TLS port. */
  readonly tlsPort: number;
  close(): Promise<void>;
}

export interface RealProxyOptions {
  readonly username?: string;
  readonly password?: string;
  /** Squid's TLS port speaks with it. */
  readonly certificate?: TestCertificate;
  /** The whole configuration, in place of the one below. */
  readonly text?: (folder: string, port: number) => string;
}

interface Setup {
  readonly binary: string;
  readonly args: (config: string) => string[];
  /** It has children of its own to bury, so it is asked to go. */
  readonly forks?: true;
  readonly config: (folder: string, port: number, tlsPort: number, options: RealProxyOptions) => string;
}

const SQUID_HELPER = '/usr/lib/squid/basic_ncsa_auth';

const squidConfig: Setup['config'] = (folder, port, tlsPort, { username, password, certificate }) => {
  const lines = [
    `http_port 127.0.0.1:${port}`,
    `pid_filename ${folder}/squid.pid`,
    `cache_log ${folder}/cache.log`,
    `coredump_dir ${folder}`,
    'access_log none',
    'netdb_filename none',
    'cache deny all',
    'via off',
    'forwarded_for delete',
    'shutdown_lifetime 0 seconds',
    'connect_timeout 5 seconds',
    // Nobody answers there: names that the hosts file does not know end in ERR_DNS_FAIL on every machine.
    'dns_nameservers 127.0.0.254',
    'dns_timeout 1 seconds',
    'dns_retransmit_interval 1 seconds',
  ];
  if (certificate) {
    writeFileSync(join(folder, 'squid.pem'), certificate.cert + certificate.key);
    lines.push(`https_port 127.0.0.1:${tlsPort} tls-cert=${folder}/squid.pem tls-key=${folder}/squid.pem`);
  }
  if (username === undefined) return [...lines, 'http_access allow all', ''].join('\n');
  const hash = execFileSync('openssl', ['passwd', '-apr1', '-stdin'], { input: `${password}\n` })
    .toString()
    .trim();
  writeFileSync(join(folder, 'passwd'), `${username}:${hash}\n`);
  return [
    ...lines,
    `auth_param basic program ${SQUID_HELPER} ${folder}/passwd`,
    'acl known proxy_auth REQUIRED',
    'http_access allow known',
    'http_access deny all',
    '',
  ].join('\n');
};

const tinyproxyConfig: Setup['config'] = (folder, port, _tlsPort, { username, password }) =>
  [
    `Port ${port}`,
    'Listen 127.0.0.1',
    'Timeout 30',
    'MaxClients 20',
    `LogFile "${folder}/tinyproxy.log"`,
    'LogLevel Error',
    'DisableViaHeader Yes',
    ...(username === undefined ? [] : [`BasicAuth ${username} ${password}`]),
    '',
  ].join('\n');

const dantedConfig: Setup['config'] = (folder, port) =>
  [
    `logoutput: ${folder}/danted.log`,
    `internal: 127.0.0.1 port = ${port}`,
    'external: 127.0.0.1',
    'clientmethod: none',
    'socksmethod: none',
    'client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }',
    'socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }',
    '',
  ].join('\n');

const privoxyConfig: Setup['config'] = (_folder, port) => `listen-address 127.0.0.1:${port}\n`;

const SETUPS = {
  tinyproxy: { binary: '/usr/bin/tinyproxy', args: (config) => ['-d', '-c', config], config: tinyproxyConfig },
  squid: { binary: '/usr/sbin/squid', args: (config) => ['-N', '-f', config], config: squidConfig },
  danted: { binary: '/usr/sbin/danted', args: (config) => ['-f', config], config: dantedConfig, forks: true },
  privoxy: { binary: '/usr/sbin/privoxy', args: (config) => ['--no-daemon', config], config: privoxyConfig },
} as const satisfies Record<string, Setup>;

export type RealProxyName = keyof typeof SETUPS;

export const isInstalled = (name: RealProxyName): boolean => existsSync(SETUPS[name].binary);

const freePort = async (): Promise<number> => {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

const ready = async (child: ChildProcess, port: number, name: string, said: () => string): Promise<void> => {
  const deadline = performance.now() + 15_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`${name} did not start: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
};

export const startRealProxy = async (name: RealProxyName, options: RealProxyOptions = {}): Promise<RealProxy> => {
  const { binary, args, config, forks }: Setup = SETUPS[name];
  const folder = mkdtempSync(join(tmpdir(), `crawlgate-${name}-`));
  chmodSync(folder, 0o777);
  const port = await freePort();
  const tlsPort = await freePort();
  const file = join(folder, `${name}.conf`);
  writeFileSync(file, options.text?.(folder, port) ?? config(folder, port, tlsPort, options));
  const child = spawn(binary, args(file), { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let said = '';
  child.stdout?.on('data', (text) => {
    said += text;
  });
  child.stderr?.on('data', (text) => {
    said += text;
  });
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const close = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) {
      const group = -child.pid;
      if (forks) child.kill('SIGTERM');
      const timer = setTimeout(() => process.kill(group, 'SIGKILL'), forks ? 3_000 : 0);
      await ended;
      clearTimeout(timer);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready(child, port, name, () => said);
  } catch (error) {
    await close();
    throw error;
  }
  return { port, tlsPort, close };
};
