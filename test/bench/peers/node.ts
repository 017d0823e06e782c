/** Peers that run on Node: the bare relay. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from '../certificates.ts';
import { folder, freePort, listening, start } from '../children.ts';
import { ORIGIN_HOST } from '../protocol.ts';
import type { Peer } from './peer.ts';

export const relay: Peer = {
  name: 'relay',
  what: 'bare relay on node:http and http.request with in-process TLS, no features, no log',
  schemes: ['http', 'https'],
  absent: () => undefined,
  version: () => process.version,
  async start(stage) {
    const port = await freePort();
    const leafFile = join(folder, 'relay.pem');
    const leaf = issue(ORIGIN_HOST, stage.authority);
    writeFileSync(leafFile, leaf.certificate + leaf.key);
    const program = join(import.meta.dirname, 'relay.ts');
    const running = await start(
      process.execPath,
      [...process.execArgv, ...stage.nodeFlags, program, String(port), leafFile, stage.originCaFile],
      { cwd: process.cwd() },
    );
    await listening(running, port);
    return { running, port, ca: stage.authority.certificate };
  },
};
