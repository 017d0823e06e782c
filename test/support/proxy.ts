/** A whole proxy in this process, on a free port, with a folder of its own and every receipt at hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/model/settings.ts';
import type { Clock, Receipt } from '../../src/pipeline/ports.ts';

export const KEY = 'k3y-of-the-tests';

export interface RunningProxy {
  readonly app: App;
  readonly port: number;
  readonly folder: string;
  readonly caPem: string;
  readonly receipts: Receipt[];
  /** Errors that would be bugs; a test that leaves one here has found one. */
  readonly bugs: unknown[];
  readonly said: string[];
  /** The next receipt that is written from now on. */
  nextReceipt(): Promise<Receipt>;
  /** Reads another configuration text and takes it over. */
  reload(yaml: string): void;
  close(): Promise<void>;
}

/** Loopback may be reached, nothing is paced unless the test says so, and one account has `KEY`. */
const BASE = (folder: string, upstreamLines: string, moreYaml: string): string => {
  const own = (key: string, text: string): string => (new RegExp(`^${key}:`, 'm').test(moreYaml) ? '' : text);
  return [
    `certificates: ${join(folder, 'certs')}`,
    `data: ${join(folder, 'data')}`,
    own('accounts', `accounts:\n  - { id: test, key: ${KEY} }`),
    own('targets', `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535] }`),
    own('pacing', 'pacing: { siteDelay: 0ms, slaveDelay: 0ms }'),
    own('operatorContact', 'operatorContact: admin@example.org'),
    upstreamLines,
    moreYaml,
  ].join('\n');
};

const read = (file: string, yaml: string): Settings => {
  writeFileSync(file, yaml);
  const { settings, errors } = loadSettings({ file, explicit: true, env: {}, cwd: tmpdir() });
  if (!settings) throw new Error(errors.join('\n'));
  // The kernel picks the port; the configuration file cannot ask for that.
  return { ...settings, listen: { ...settings.listen, port: 0 } };
};

/** Upstreams may be given as URLs; everything else as YAML text, whole sections replacing those above. */
export const startProxy = async (
  yaml = '',
  upstreams: readonly string[] = [],
  clock?: Clock,
): Promise<RunningProxy> => {
  const folder = mkdtempSync(join(tmpdir(), 'crawlgate-'));
  const lines = upstreams.length === 0 ? '' : `upstreams:\n${upstreams.map((url) => `  - url: ${url}`).join('\n')}`;
  const receipts: Receipt[] = [];
  const waiting: ((receipt: Receipt) => void)[] = [];
  const bugs: unknown[] = [];
  const said: string[] = [];
  const say = (line: string): void => {
    said.push(line);
  };
  const file = join(folder, 'crawlgate.yaml');
  const app = await startApp(read(file, BASE(folder, lines, yaml)), {
    version: '9.8.7',
    ...(clock ? { clock } : {}),
    ledger: {
      finished(receipt) {
        receipts.push(receipt);
        for (const wake of waiting.splice(0)) wake(receipt);
      },
      bug: (error) => bugs.push(error),
    },
    say: { info: say, warn: say, error: say },
  });
  return {
    app,
    port: app.address.port,
    folder,
    caPem: app.authority.certificatePem,
    receipts,
    bugs,
    said,
    nextReceipt: () => new Promise((resolve) => waiting.push(resolve)),
    reload: (next) => app.reload(read(file, BASE(folder, lines, next))),
    async close() {
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
