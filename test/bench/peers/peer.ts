/** What the bench knows of a program it measures. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Issued } from '../certificates.ts';
import type { Running } from '../children.ts';
import type { OriginPorts, Scheme } from '../protocol.ts';

/** What a peer needs to set itself up. */
export interface Stage {
  readonly origin: OriginPorts;
  /** PEM file of the authority that signed the origin's certificate. */
  readonly originCaFile: string;
  /** For peers that bring no authority of their own. */
  readonly authority: Issued;
  readonly authorityFile: string;
  readonly authorityKeyFile: string;
  /** Passed to Node before the program, for profiles. */
  readonly nodeFlags: readonly string[];
}

export interface Started {
  readonly running: Running;
  readonly port: number;
  /** PEM of the authority that signs what clients are shown. */
  readonly ca: string | undefined;
  /** A server it works with and does not start itself: its CPU time is told apart. */
  readonly beside?: Running;
}

export interface Peer {
  readonly name: string;
  readonly what: string;
  readonly schemes: readonly Scheme[];
  /** Closes after each answer without saying so: the client then makes a new connection for each request. */
  readonly oneShot?: boolean;
  /** Why it cannot run here, `undefined` when it can. */
  absent(): string | undefined;
  /** The version as the program tells it. */
  version(): string;
  start(stage: Stage): Promise<Started>;
}

const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];

/** The full path of an executable, also from the folders of system programs. */
export const which = (name: string): string | undefined =>
  FOLDERS.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
