/** The bare relays as peers: one for the comparison with Squid, both for the comparison of ways onward. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from '../certificates.ts';
import { folder, freePort, listening, start } from '../children.ts';
import { ORIGIN_HOST } from '../protocol.ts';
import type { Peer } from './peer.ts';

const bare = (name: string, program: string, what: string): Peer => ({
  name,
  what,
  schemes: ['http', 'https'],
  absent: () => (existsSync(join(import.meta.dirname, program)) ? undefined : `${program} is missing`),
  version: () => process.version,
  async start(stage) {
    const port = await freePort();
    const leafFile = join(folder, `${name}.pem`);
    const leaf = issue(ORIGIN_HOST, stage.authority);
    writeFileSync(leafFile, leaf.certificate + leaf.key);
    const path = join(import.meta.dirname, program);
    const args = [...process.execArgv, ...stage.nodeFlags, path, String(port), leafFile, stage.originCaFile];
    const running = await start(process.execPath, args, { cwd: process.cwd() });
    await listening(running, port);
    return { running, port, ca: stage.authority.certificate };
  },
});

export const relay = bare(
  'relay',
  'relay.ts',
  'bare relay on node:http and http.request with in-process TLS, no features, no log',
);

export const relayOwn = bare('relay-own', 'relay-own.ts', "the same relay with this project's transport behind it");
