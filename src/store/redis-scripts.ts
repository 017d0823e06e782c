/** The Lua scripts: which there are, and what each is put together from. One script a step of the store. */
import { readFileSync } from 'node:fs';

const PACE = ['order', 'pace'] as const;
const WAIT = [...PACE, 'claims'] as const;

/** The file of each script, and the parts that come before it. Those with `@` work where the house is on another node. */
const SCRIPTS = {
  admit: ['admit', 'ask', 'house', ...WAIT],
  retry: ['retry', 'ask', 'house', ...WAIT, 'wish'],
  turn: ['turn', 'ask', 'house', ...WAIT, 'wish'],
  banned: ['banned', 'ask', 'house', ...PACE, 'ban'],
  outlook: ['outlook', 'ask', 'house', ...PACE],
  'admit@': ['admit', 'ask', 'facts', ...WAIT],
  'retry@': ['retry', 'ask', 'facts', ...WAIT, 'wish'],
  'turn@': ['turn', 'ask', 'facts', ...WAIT, 'wish'],
  'banned@': ['banned', 'ask', 'facts', ...PACE, 'ban'],
  'outlook@': ['outlook', 'ask', 'facts', ...PACE],
  enter: ['enter', 'ask', 'house'],
  look: ['look', 'ask', 'house'],
  bind: ['bind', 'house'],
  down: ['down'],
  unwait: ['unwait', ...WAIT],
  slow: ['slow', ...PACE],
  leave: ['leave', 'house'],
  fail: ['fail'],
  open: ['open', 'house'],
  list: ['list', 'house'],
  close: ['close', 'house'],
  cookies: ['cookies'],
  keep: ['keep', 'house'],
  sync: ['sync', 'house', ...PACE],
  pool: ['pool', 'house'],
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
