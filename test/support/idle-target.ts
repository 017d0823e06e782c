/** A target in a process of its own: what it notes is not late because a test is busy. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

export interface IdleTarget {
  readonly port: number;
  /** When requests came since it was asked last: milliseconds since 1970. */
  visits(): Promise<readonly number[]>;
  close(): void;
}

export const startIdleTarget = async (): Promise<IdleTarget> => {
  const child = fork(new URL('./idle-target.mjs', import.meta.url), { execArgv: [] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    port,
    visits: async () => {
      const answer = once(child, 'message');
      child.send('visits');
      const [{ visits }] = (await answer) as [{ visits: number[] }];
      return visits;
    },
    close: () => void child.kill('SIGKILL'),
  };
};
