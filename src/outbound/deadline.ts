/** A deadline that moves with every request of a connection without a new timer each time. */
import type { Clock, Timer } from '../pipeline/ports.ts';

/** Monotonic milliseconds. */
export type Ticks = () => number;

export class Deadline {
  private readonly clock: Clock;
  private readonly ticks: Ticks;
  private readonly late: () => void;
  private at = Number.POSITIVE_INFINITY;
  private timer: Timer | undefined;
  private firesAt = 0;

  constructor(clock: Clock, ticks: Ticks, late: () => void) {
    this.clock = clock;
    this.ticks = ticks;
    this.late = late;
  }

  /** Calls `late` at this time unless moved before. An earlier timer stays and looks again when it fires. */
  until(at: number): void {
    this.at = at;
    if (this.timer !== undefined && this.firesAt <= at) return;
    this.timer?.cancel();
    this.arm(at - this.ticks());
  }

  in(ms: number): void {
    this.until(this.ticks() + ms);
  }

  /** No limit for now. The timer is left to run out: the next request most likely comes before it does. */
  lift(): void {
    this.at = Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.lift();
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(ms: number): void {
    const wait = Math.max(1, Math.ceil(ms));
    this.firesAt = this.ticks() + wait;
    this.timer = this.clock.after(wait, this.fired);
  }

  private readonly fired = (): void => {
    this.timer = undefined;
    if (this.at === Number.POSITIVE_INFINITY) return;
    const left = this.at - this.ticks();
    if (left > 0.5) {
      this.arm(left);
      return;
    }
    this.at = Number.POSITIVE_INFINITY;
    this.late();
  };
}
