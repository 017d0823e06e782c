/** What stands before any peer starts: the origin process and the authorities. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue } from './certificates.ts';
import { folder, forkRole } from './children.ts';
import type { Stage } from './peers/peer.ts';
import { MANY_HOSTS, ORIGIN_HOST, type OriginPorts } from './protocol.ts';

export interface BenchStage extends Stage {
  /** PEM of the authority that signed the origin's certificate. */
  readonly originCa: string;
}

const START_MS = 20_000;

const startOrigin = (certificate: string, key: string): Promise<OriginPorts> =>
  new Promise((resolve, reject) => {
    const child = forkRole('origin.ts');
    const timer = setTimeout(() => reject(new Error('the origin does not start')), START_MS);
    child.once('message', (message: OriginPorts | { error: string }) => {
      clearTimeout(timer);
      if ('error' in message) reject(new Error(message.error));
      else resolve(message);
    });
    child.once('exit', () => reject(new Error('the origin died')));
    child.send({ certificate, key });
  });

/** Starts the origin and writes the PEM files. `nodeFlags` go to peers that run on Node. */
export const setStage = async (nodeFlags: readonly string[]): Promise<BenchStage> => {
  const originAuthority = issue('Bench origin authority');
  const leaf = issue(ORIGIN_HOST, originAuthority, [`*.${MANY_HOSTS}`]);
  const authority = issue('Bench proxy authority');
  const originCaFile = join(folder, 'origin-ca.pem');
  const authorityFile = join(folder, 'proxy-ca.pem');
  const authorityKeyFile = join(folder, 'proxy-ca.key');
  writeFileSync(originCaFile, originAuthority.certificate);
  writeFileSync(authorityFile, authority.certificate);
  writeFileSync(authorityKeyFile, authority.key);
  const origin = await startOrigin(leaf.certificate, leaf.key);
  return {
    origin,
    originCaFile,
    originCa: originAuthority.certificate,
    authority,
    authorityFile,
    authorityKeyFile,
    nodeFlags,
  };
};
