/** Ends a test run with the list of clients: which ran, how many checks each passed, which are absent. */
import type { Reporter, TestModule } from 'vitest/node';
import { type ClientId, PROGRAMS, suiteName, versionOf } from './programs.ts';

interface Count {
  passed: number;
  failed: number;
}

const countOf = (modules: readonly TestModule[], suite: string): Count => {
  const count = { passed: 0, failed: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      if (!test.fullName.startsWith(`${suite} > `)) continue;
      const { state } = test.result();
      if (state === 'passed') count.passed++;
      else if (state === 'failed') count.failed++;
    }
  }
  return count;
};

const lineOf = (id: ClientId, { passed, failed }: Count): string => {
  const { name, from } = PROGRAMS[id];
  if (passed + failed > 0) return `${name}: ${passed} checks passed${failed > 0 ? `, ${failed} FAILED` : ''}`;
  return versionOf(id) === undefined ? `${name}: absent (install ${from})` : `${name}: not run`;
};

/** Says nothing when no client's test was part of the run. */
export class RollCall implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (!modules.some((module) => module.moduleId.includes('/test/clients/'))) return;
    const ids = Object.keys(PROGRAMS) as ClientId[];
    const lines = ids.map((id) => `  ${lineOf(id, countOf(modules, suiteName(id)))}`);
    process.stdout.write(`\nClients tried\n${lines.join('\n')}\n`);
  }
}
