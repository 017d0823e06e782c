/** The Lua scripts: which there are, and what each is put together from. One script a step of the store. */
import { readFileSync } from 'node:fs';

const HOUSE = ['house', 'door'] as const;
const PACE = ['order', 'walk', 'places', 'choose', 'pace'] as const;
const WAIT = [...PACE, 'claims'] as const;

/** The file of each script, and the parts that come before it. Those with `@` work where the house is on another node. */
const SCRIPTS = {
  admit: ['admit', 'ask', ...HOUSE, ...WAIT],
  retry: ['retry', 'ask', ...HOUSE, ...WAIT, 'wish'],
  turn: ['turn', 'ask', ...HOUSE, ...WAIT, 'wish'],
  banned: ['banned', 'ask', ...HOUSE, ...PACE, 'ban'],
  outlook: ['outlook', 'ask', ...HOUSE, ...PACE],
  'admit@': ['admit', 'ask', 'facts', ...WAIT],
  'retry@': ['retry', 'ask', 'facts', ...WAIT, 'wish'],
  'turn@': ['turn', 'ask', 'facts', ...WAIT, 'wish'],
  'banned@': ['banned', 'ask', 'facts', ...PACE, 'ban'],
  'outlook@': ['outlook', 'ask', 'facts', ...PACE],
  enter: ['enter', 'ask', ...HOUSE],
  look: ['look', 'ask', ...HOUSE],
  bind: ['bind', ...HOUSE],
  down: ['down'],
  unwait: ['unwait', ...WAIT],
  slow: ['slow', ...PACE],
  leave: ['leave', ...HOUSE],
  fail: ['fail'],
  open: ['open', ...HOUSE],
  list: ['list', ...HOUSE],
  close: ['close', ...HOUSE],
  cookies: ['cookies'],
  keep: ['keep', ...HOUSE],
  sync: ['sync', ...HOUSE, ...PACE],
  pool: ['pool', ...HOUSE],
} as const satisfies Record<string, readonly [file: string, ...parts: string[]]>;

export type ScriptName = keyof typeof SCRIPTS;

const read = (name: string): string => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');

/** Every script's whole text, by name. */
export const readScripts = (): ReadonlyMap<ScriptName, string> =>
  new Map(
    (Object.keys(SCRIPTS) as ScriptName[]).map((name) => {
      const [file, ...parts] = SCRIPTS[name];
      return [name, ['base', ...parts, file].map(read).join('\n')];
    }),
  );
