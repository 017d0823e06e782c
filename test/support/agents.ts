/** The user agents the program ships with. */
import { loadAgents } from '../../src/config/agents.ts';
import type { Agents } from '../../src/model/agents.ts';

const load = (): Agents => {
  const { agents, errors } = loadAgents(undefined);
  if (!agents) throw new Error(errors.join('\n'));
  return agents;
};

export const BUILT_IN_AGENTS = load();
