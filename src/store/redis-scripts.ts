/** The Lua scripts: which there are, and what each is put together from. One script a step of the store. */
import { readFileSync } from 'node:fs';

/** Parts that come before the script's own text, in this order. */
const PARTS = {
  admit: ['ask', 'house', 'order', 'pace'],
  retry: ['ask', 'house', 'order', 'pace', 'wish'],
  turn: ['ask', 'house', 'order', 'pace', 'wish'],
  unwait: ['order', 'pace'],
  leave: ['house'],
  banned: ['ask', 'house', 'order', 'pace', 'ban'],
  outlook: ['ask', 'house', 'order', 'pace'],
  slow: ['order', 'pace'],
  fail: [],
  open: ['house'],
  list: ['house'],
  close: ['house'],
  sync: ['house', 'order', 'pace'],
  pool: ['house'],
  cookies: [],
  keep: ['house'],
} as const satisfies Record<string, readonly string[]>;

export type ScriptName = keyof typeof PARTS;

const read = (name: string): string => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');

/** Every script's whole text, by name. */
export const readScripts = (): ReadonlyMap<ScriptName, string> => {
  const names = Object.keys(PARTS) as ScriptName[];
  return new Map(names.map((name) => [name, ['base', ...PARTS[name], name].map(read).join('\n')]));
};
