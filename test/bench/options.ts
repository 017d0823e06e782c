/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { CASES } from './cases.ts';

export const USAGE = `npm run bench -- [options]

  --quick               fewer and shorter rounds, done within two minutes
  --peers a,b           only these (squid, haproxy, tinyproxy, relay, crawlgate, crawlgate-hop, crawlgate-redis)
  --cases a,b           only these (${CASES.map((one) => one.name).join(', ')})
  --rounds N            rounds of each peer and case            --seconds S   length of a round
  --json FILE           writes everything measured as JSON
  --write               replaces the tables in docs/benchmarks.md
  --clients             compares ways to send the request onward instead
  --scale               memory and event loop with many hosts, tunnels, held requests instead
  --bans                what the ban rules cost a good response instead
  --check               fails when CPU a request beside Squid is over 15 % above test/bench/baseline.json;
                        with --write what is measured becomes that baseline
  --admission           what letting a request in costs with many upstreams and websites instead
  --profile PEER CASE   CPU profile of a Node peer under that load instead
`;

export interface Options {
  readonly quick: boolean;
  readonly peers: readonly string[] | undefined;
  readonly cases: readonly string[] | undefined;
  readonly rounds: number;
  readonly seconds: number;
  readonly json: string | undefined;
  readonly write: boolean;
  readonly clients: boolean;
  readonly scale: boolean;
  readonly bans: boolean;
  readonly check: boolean;
  readonly admission: boolean;
  readonly profile: { readonly peer: string; readonly caseName: string } | undefined;
  readonly help: boolean;
}

const words = (text: string | undefined): string[] | undefined =>
  text
    ?.split(',')
    .map((word) => word.trim())
    .filter(Boolean);

const positive = (text: string | undefined, fallback: number, name: string, most: number): number => {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0 && value <= most)) throw new Error(`--${name} must be above 0 and at most ${most}`);
  return value;
};

/** Throws with a sentence on what is wrong. */
export const readOptions = (argv: readonly string[]): Options => {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      peers: { type: 'string' },
      cases: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      clients: { type: 'boolean', default: false },
      scale: { type: 'boolean', default: false },
      bans: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      admission: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [peer = 'crawlgate', caseName = 'https'] = positionals;
  if (positionals.length > 0 && !values.profile) throw new Error(`what is "${positionals.join(' ')}"?`);
  return {
    quick: values.quick,
    peers: words(values.peers),
    cases: words(values.cases),
    rounds: Math.round(positive(values.rounds, values.quick ? 3 : 7, 'rounds', 50)),
    seconds: positive(values.seconds, values.quick ? 0.5 : 2, 'seconds', 60),
    json: values.json,
    write: values.write,
    clients: values.clients,
    scale: values.scale,
    bans: values.bans,
    check: values.check,
    admission: values.admission,
    profile: values.profile ? { peer, caseName } : undefined,
    help: values.help,
  };
};
