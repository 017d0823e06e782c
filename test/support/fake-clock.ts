/** Time that moves only when a test says so; timers fire in order of their time. */
import type { Clock } from '../../src/pipeline/ports.ts';

export interface FakeClock extends Clock {
  /** Moves on by so many milliseconds, firing what falls due, and lets promises settle after each timer. */
  advance(ms: number): Promise<void>;
  /** Moves on without firing anything: timers are late. */
  jump(ms: number): void;
  /** Timers not yet fired or cancelled. */
  pending(): number;
}

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const makeFakeClock = (start = 1_000_000): FakeClock => {
  let now = start;
  let order = 0;
  const alarms = new Map<number, Alarm>();

  const nextDue = (until: number): Alarm | undefined => {
    let next: Alarm | undefined;
    for (const alarm of alarms.values()) {
      if (alarm.at > until) continue;
      if (!next || alarm.at < next.at || (alarm.at === next.at && alarm.order < next.order)) next = alarm;
    }
    return next;
  };

  const fire = (alarm: Alarm): void => {
    alarms.delete(alarm.order);
    now = Math.max(now, alarm.at);
    alarm.fn();
  };

  return {
    now: () => now,
    after: (ms, fn) => {
      const alarm = { at: now + Math.max(0, Math.ceil(ms)), order: ++order, fn };
      alarms.set(alarm.order, alarm);
      return { cancel: () => alarms.delete(alarm.order) };
    },
    advance: async (ms) => {
      await settle();
      const until = now + ms;
      for (let alarm = nextDue(until); alarm; alarm = nextDue(until)) {
        fire(alarm);
        await settle();
      }
      now = until;
      await settle();
    },
    jump: (ms) => {
      now += ms;
    },
    pending: () => alarms.size,
  };
};
