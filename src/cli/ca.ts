/** The `ca` sub-command: shows, exports and renews the installation's CA certificate, never its key (C-05, robustness C07). */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { CaError, publishedCa, renewCa } from '../inbound/authority.ts';

const USAGE = [
  'crawlgate ca print          write the CA certificate (PEM) to standard output',
  'crawlgate ca export FILE    write it to FILE, for clients to trust',
  'crawlgate ca fingerprint    show its SHA-256 fingerprint (also: --print-fingerprint)',
  'crawlgate ca renew          make a new CA; the old certificate is kept as crawlera-ca.previous.crt',
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

const ACTIONS: Readonly<Record<string, { readonly run: Action; readonly operands: number }>> = {
  print: { run: print, operands: 0 },
  export: { run: exportTo, operands: 1 },
  fingerprint: { run: fingerprint, operands: 0 },
  '--print-fingerprint': { run: fingerprint, operands: 0 },
  renew: { run: renew, operands: 0 },
};

/**
 * Runs `crawlgate ca ...` with the words after `ca`. Resolves to the exit status: 0, 1 when it failed (the reason is the
 * last line), 2 for arguments that do not fit. A folder without a CA gets one first, as at the first start.
 */
export const runCa = async (args: readonly string[], certificatesFolder: string, out: Out): Promise<number> => {
  const [name = '', ...rest] = args;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action || rest.length !== action.operands) return usage(out);
  try {
    return action.run(certificatesFolder, rest, out);
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    out(error.message);
    return 1;
  }
};
