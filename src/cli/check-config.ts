/** The `check-config` sub-command: validates the configuration and shows what it comes to. */
import { loadAgents } from '../config/agents.ts';
import { configFile, type LoadOptions, loadSettings } from '../config/load.ts';
import { loadRules } from '../config/rules.ts';
import { summaryLines } from '../config/summary.ts';

export interface CheckOptions extends Pick<LoadOptions, 'env' | 'cwd'> {
  /** The file named on the command line. */
  readonly config: string | undefined;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Exit status: 0 after `OK` and a summary, 1 after every mistake on a line of its own. Nothing is made or changed. */
export const checkConfig = ({ config, env, cwd, out, err }: CheckOptions): number => {
  const { settings, errors } = loadSettings({ ...configFile(config, env), env, cwd });
  if (!settings) {
    for (const line of errors) err(line);
    return 1;
  }
  const mistakes = [...loadRules(settings.bans.rules, cwd).errors, ...loadAgents(settings.userAgents, cwd).errors];
  if (mistakes.length > 0) {
    for (const line of mistakes) err(line);
    return 1;
  }
  out('OK');
  for (const line of summaryLines(settings)) out(line);
  return 0;
};
