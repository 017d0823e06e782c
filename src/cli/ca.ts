/** The `ca` sub-command: shows, installs, exports and renews the CA certificate, never its key (C-05, robustness C07). */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CA_FILES, CaError, publishedCa, renewCa } from '../inbound/authority.ts';
import { installNss } from './ca-nss.ts';
import { clientPlaces, systemCommands } from './ca-places.ts';

const USAGE = [
  'crawlgate ca                    show where the CA certificate is and where clients want it',
  'crawlgate ca path               show its path (also: --print-path)',
  'crawlgate ca print              write the certificate (PEM) to standard output',
  'crawlgate ca export FILE        write it to FILE, for clients to trust',
  'crawlgate ca fingerprint        show its SHA-256 fingerprint (also: --print-fingerprint)',
  'crawlgate ca install --nss DIR  have browsers that use the NSS database in DIR trust it',
  'crawlgate ca install --system   show the commands that have the whole machine trust it',
  'crawlgate ca renew              make a new CA; the old certificate is kept as crawlera-ca.previous.crt',
];

type Out = (line: string) => void;

type Action = (folder: string, rest: readonly string[], out: Out) => number;

const usage = (out: Out): number => {
  for (const line of USAGE) out(line);
  return 2;
};

const day = (date: string): string => new Date(date).toISOString().slice(0, 10);

const print: Action = (folder, _rest, out) => {
  out(publishedCa(folder, Date.now()).pem.trimEnd());
  return 0;
};

const fingerprint: Action = (folder, _rest, out) => {
  out(publishedCa(folder, Date.now()).certificate.fingerprint256);
  return 0;
};

const pathIn = (folder: string): string => resolve(join(folder, CA_FILES.certificate));

const path: Action = (folder, _rest, out) => {
  publishedCa(folder, Date.now());
  out(pathIn(folder));
  return 0;
};

const show: Action = (folder, _rest, out) => {
  const { certificate } = publishedCa(folder, Date.now());
  out(`CA certificate: ${pathIn(folder)}`);
  out(`Valid until ${day(certificate.validTo)}, SHA-256 ${certificate.fingerprint256}`);
  out('Where clients want it (docs/clients/certificates.md tells more):');
  for (const line of clientPlaces(pathIn(folder))) out(line);
  return 0;
};

const install: Action = (folder, [option = '', place], out) => {
  if (option === '--system' && place === undefined) {
    publishedCa(folder, Date.now());
    for (const line of systemCommands(pathIn(folder))) out(line);
    return 0;
  }
  if (option !== '--nss' || place === undefined) return usage(out);
  const { pem, certificate } = publishedCa(folder, Date.now());
  const { folder: database, what } = installNss(place, certificate, pem);
  out(`${database}: CA certificate ${what}, SHA-256 ${certificate.fingerprint256}`);
  return 0;
};

const holdsKey = (file: string): boolean => existsSync(file) && readFileSync(file, 'latin1').includes('PRIVATE KEY');

const exportTo: Action = (folder, [file = ''], out) => {
  const { pem, certificate } = publishedCa(folder, Date.now());
  try {
    if (holdsKey(file)) throw new CaError(`${file}: holds a private key, not overwritten`);
    writeFileSync(file, pem);
  } catch (error) {
    if (error instanceof CaError) throw error;
    throw new CaError(`${file}: cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
  out(`${file}: CA certificate, valid until ${day(certificate.validTo)}, SHA-256 ${certificate.fingerprint256}`);
  return 0;
};

const renew: Action = (folder, _rest, out) => {
  const { issuer, cross } = renewCa(folder, Date.now());
  out(`New CA, valid until ${day(issuer.certificate.validTo)}, SHA-256 ${issuer.certificate.fingerprint256}`);
  out('It signs once the proxy has been reloaded (SIGHUP) or restarted; open tunnels go on.');
  if (cross && Date.parse(cross.validTo) > Date.now()) {
    out(`Clients that trust only the old CA are served until ${day(cross.validTo)}; give them the new one.`);
  }
  return 0;
};

/** `operands`: how many words may follow. */
const ACTIONS: Readonly<Record<string, { readonly run: Action; readonly operands: readonly number[] }>> = {
  '': { run: show, operands: [0] },
  path: { run: path, operands: [0] },
  '--print-path': { run: path, operands: [0] },
  print: { run: print, operands: [0] },
  export: { run: exportTo, operands: [1] },
  fingerprint: { run: fingerprint, operands: [0] },
  '--print-fingerprint': { run: fingerprint, operands: [0] },
  install: { run: install, operands: [1, 2] },
  renew: { run: renew, operands: [0] },
};

/**
 * Runs `crawlgate ca ...` with the words after `ca`. Resolves to the exit status: 0, 1 when it failed (the reason is the
 * last line), 2 for arguments that do not fit. A folder without a CA gets one first, as at the first start.
 */
export const runCa = async (args: readonly string[], certificatesFolder: string, out: Out): Promise<number> => {
  const [name = '', ...rest] = args;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action?.operands.includes(rest.length)) return usage(out);
  try {
    return action.run(certificatesFolder, rest, out);
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    out(error.message);
    return 1;
  }
};
