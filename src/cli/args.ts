/** The words of the command line, read into one command. Pure: prints nothing and runs nothing. */
import { parseArgs } from 'node:util';

/** Commands that hand the words after them to a sub-command of their own. */
export type Family = 'ca' | 'rules' | 'upstreams';

export type Command =
  | { readonly name: 'serve' | 'check-config'; readonly config: string | undefined }
  | { readonly name: Family; readonly config: string | undefined; readonly rest: readonly string[] }
  | { readonly name: 'help' | 'version' }
  /** Text for standard error; the exit status is 2. */
  | { readonly name: 'usage-error'; readonly text: string };

export const HELP = `Usage: crawlgate COMMAND [--config FILE]

Commands:
  serve             run the proxy
  check-config      validate the configuration, show what it comes to, and exit
  ca ...            show, install, export or renew the CA certificate
  rules ...         try ban rules

Options:
  -c, --config FILE   configuration (default config/crawlgate.yaml; environment CRAWLGATE_CONFIG)
  -h, --help          show this text
  -v, --version       show the version

Environment, wins over the file: CRAWLGATE_HOST, CRAWLGATE_PORT, CRAWLGATE_STORE, CRAWLGATE_API_KEY,
CRAWLGATE_ADMIN_KEY.`;

const PLAIN = ['serve', 'check-config'] as const;
const FAMILIES = ['ca', 'rules', 'upstreams'] as const;

const OPTIONS = {
  config: { type: 'string', short: 'c' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

const isOneOf = <T extends string>(words: readonly T[], word: string): word is T =>
  (words as readonly string[]).includes(word);

const failure = (reason: string): Command => ({
  name: 'usage-error',
  text: `crawlgate: ${reason}\nTry: crawlgate --help`,
});

/** Index of the command: the first word that is no option and no option's value; -1 when there is none. */
const commandIndex = (words: readonly string[]): number => {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === '--config' || word === '-c') i++;
    else if (!word.startsWith('-')) return i;
  }
  return -1;
};

/** Takes `--config FILE` out of words that are otherwise a sub-command's own. */
const splitConfig = (words: readonly string[]): { rest: string[]; config: string | undefined; valueless: boolean } => {
  const rest: string[] = [];
  let config: string | undefined;
  let valueless = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word.startsWith('--config=')) config = word.slice('--config='.length);
    else if (word === '--config' || word === '-c') {
      config = words[++i];
      valueless ||= config === undefined;
    } else rest.push(word);
  }
  return { rest, config, valueless: valueless || config === '' };
};

const parseFamily = (name: Family, before: readonly string[], after: readonly string[]): Command => {
  const { rest, config, valueless } = splitConfig([...before, ...after]);
  if (valueless) return failure('--config needs the name of a file');
  return { name, config, rest };
};

const reasonOf = (error: unknown): string =>
  error instanceof Error ? (error.message.split(/[.\n] /, 1)[0] as string) : 'the arguments do not fit';

/** Reads `process.argv.slice(2)`. */
export const parseCommand = (argv: readonly string[]): Command => {
  const at = commandIndex(argv);
  const word = argv[at] ?? '';
  if (isOneOf(FAMILIES, word)) return parseFamily(word, argv.slice(0, at), argv.slice(at + 1));
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
    if (values.help) return { name: 'help' };
    if (values.version) return { name: 'version' };
    if (values.config === '') return failure('--config needs the name of a file');
    if (word === '' || positionals.length === 0) return failure('a command is missing');
    if (!isOneOf(PLAIN, word)) return failure(`unknown command ${JSON.stringify(word)}`);
    if (positionals.length > 1) return failure(`${word} takes no further words`);
    return { name: word, config: values.config };
  } catch (error) {
    return failure(reasonOf(error));
  }
};
