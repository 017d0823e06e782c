/** Squid with ssl-bump, set up as its manual would for a plain forward proxy without a cache. */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { discardPipe, folder, freePort, listening, runOnce, start } from '../children.ts';
import { ORIGIN_HOST } from '../protocol.ts';
import { type Peer, which } from './peer.ts';

const HELPERS = ['/usr/lib/squid/security_file_certgen', '/usr/libexec/squid/security_file_certgen'];
const helper = () => HELPERS.find((path) => existsSync(path));
const versionText = (squid: string) => execFileSync(squid, ['-v'], { encoding: 'utf8' });

/** Squid refuses to work as root: then it gets the first of the accounts made for such programs. */
const unprivileged = (): { uid: number; gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user =
    users.find(([name]) => name === 'proxy' || name === 'squid') ?? users.find(([name]) => name === 'nobody');
  return user && { uid: Number(user[2]), gid: Number(user[3]) };
};

const configuration = (port: number, home: string, log: string, stage: { ca: string; key: string; roots: string }) => `
http_port 127.0.0.1:${port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=8MB tls-cert=${stage.ca} tls-key=${stage.key}
sslcrtd_program ${helper()} -s ${home}/certificates -M 8MB
sslcrtd_children 2 startup=1 idle=1
ssl_bump bump all
tls_outgoing_options cafile=${stage.roots}
hosts_file ${home}/hosts
http_access allow all
cache deny all
workers 1
access_log stdio:${log}
cache_log ${home}/cache.log
cache_store_log none
pid_filename none
coredump_dir ${home}
netdb_filename none
pinger_enable off
icp_port 0
via off
forwarded_for delete
shutdown_lifetime 0 seconds
max_filedescriptors 8192
visible_hostname bench
`;

export const squid: Peer = {
  name: 'squid',
  what: 'Squid with ssl-bump, cache off, one access log line a request',
  schemes: ['http', 'https'],
  absent() {
    const path = which('squid');
    if (path === undefined) return 'squid is not installed (Debian: squid-openssl)';
    if (helper() === undefined) return 'squid has no security_file_certgen';
    return versionText(path).includes('--enable-ssl-crtd') ? undefined : 'this squid is built without ssl-bump';
  },
  version: () => /Version (\S+)/.exec(versionText(which('squid') ?? 'squid'))?.[1] ?? '?',
  async start(stage) {
    const home = join(folder, 'squid');
    mkdirSync(home);
    const port = await freePort();
    const log = await discardPipe();
    writeFileSync(join(home, 'hosts'), `127.0.0.1 ${ORIGIN_HOST}\n`);
    writeFileSync(join(home, 'ca.pem'), stage.authority.certificate);
    writeFileSync(join(home, 'ca.key'), stage.authority.key);
    const paths = { ca: `${home}/ca.pem`, key: `${home}/ca.key`, roots: stage.originCaFile };
    writeFileSync(join(home, 'squid.conf'), configuration(port, home, log, paths));
    await runOnce(helper() ?? '', ['-c', '-s', `${home}/certificates`, '-M', '8MB']);
    const user = unprivileged();
    if (user) await runOnce('chown', ['-R', `${user.uid}:${user.gid}`, home]);
    if (user) chownSync(log, user.uid, user.gid);
    const running = await start(which('squid') ?? '', ['-N', '-f', join(home, 'squid.conf')], user ?? {});
    await listening(running, port);
    return { running, port, ca: stage.authority.certificate };
  },
};
