/** Peers for plain HTTP only: HAProxy, the floor for any relay, and tinyproxy. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder, freePort, listening, start } from '../children.ts';
import { type Peer, type Stage, which } from './peer.ts';

interface PlainPeer {
  readonly oneShot: boolean;
  readonly name: string;
  readonly what: string;
  readonly versionFlag: string;
  readonly configuration: (port: number, stage: Stage) => string;
  readonly args: (file: string) => readonly string[];
}

const plain = ({ name, what, oneShot, versionFlag, configuration, args }: PlainPeer): Peer => ({
  name,
  what,
  schemes: ['http'],
  oneShot,
  absent: () => (which(name) === undefined ? `${name} is not installed` : undefined),
  version: () =>
    /(\d+\.\d+[.\d]*)/.exec(execFileSync(which(name) ?? name, [versionFlag], { encoding: 'utf8' }))?.[1] ?? '?',
  async start(stage) {
    const port = await freePort();
    const file = join(folder, `${name}.conf`);
    writeFileSync(file, configuration(port, stage));
    const running = await start(which(name) ?? name, args(file), { discardOutput: true });
    await listening(running, port);
    return { running, port, ca: undefined };
  },
});

export const haproxy = plain({
  name: 'haproxy',
  what: 'HAProxy relaying to the one origin, one thread, one log line a request',
  versionFlag: '-v',
  oneShot: false,
  args: (file) => ['-db', '-f', file],
  configuration: (port, stage) => `
global
  nbthread 1
  maxconn 4000
  log stdout format raw daemon info
defaults
  mode http
  log global
  option httplog
  http-reuse always
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  server origin 127.0.0.1:${stage.origin.plain}
`,
});

export const tinyproxy = plain({
  name: 'tinyproxy',
  what: 'tinyproxy; it closes every connection after one request',
  versionFlag: '-v',
  oneShot: true,
  args: (file) => ['-d', '-c', file],
  configuration: (port) => `
Port ${port}
Listen 127.0.0.1
Timeout 30
MaxClients 200
LogLevel Connect
DisableViaHeader Yes
Allow 127.0.0.1
`,
});
