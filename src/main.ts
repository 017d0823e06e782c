#!/usr/bin/env node
/** The command line: reads the words and runs one command. */
import { readFileSync } from 'node:fs';
import { HELP, parseCommand } from './cli/args.ts';
import { runCa } from './cli/ca.ts';
import { checkConfig } from './cli/check-config.ts';
import { runRules } from './cli/rules.ts';
import { serve } from './cli/serve.ts';
import { configFile, loadSettings } from './config/load.ts';

const out = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const err = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const version = (): string => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
};

const surroundings = { env: process.env, cwd: process.cwd() };

/** The CA lives where the configuration says. */
const ca = async (config: string | undefined, words: readonly string[]): Promise<number> => {
  const { settings, errors } = loadSettings({ ...configFile(config, process.env), ...surroundings });
  if (settings) return runCa(words, settings.certificates, out);
  for (const line of errors) err(line);
  return 1;
};

const run = async (): Promise<number> => {
  const command = parseCommand(process.argv.slice(2));
  switch (command.name) {
    case 'serve':
      return serve({ ...surroundings, config: command.config, version: version(), out, err });
    case 'check-config':
      return checkConfig({ ...surroundings, config: command.config, out, err });
    case 'ca':
      return ca(command.config, command.rest);
    case 'rules':
      return runRules(command.rest, { ...surroundings, config: command.config, out, err });
    case 'help':
      out(HELP);
      return 0;
    case 'version':
      out(version());
      return 0;
    case 'usage-error':
      err(command.text);
      return 2;
    default:
      err(`crawlgate: ${command.name} is not available in this version`);
      return 2;
  }
};

process.exit(await run());
