/** One request's stop button: pressed once, heard by the step that is running. */
import type { Stop } from './ports.ts';

export interface StopButton extends Stop {
  /** Later presses are ignored: the first reason counts. */
  press(reason: Error): void;
}

/** A class, not a closure: one is made for every request. */
class Button implements StopButton {
  #reason: Error | undefined = undefined;
  #listener: ((reason: Error) => void) | undefined = undefined;

  get reason(): Error | undefined {
    return this.#reason;
  }

  listen(fn: ((reason: Error) => void) | undefined): void {
    this.#listener = fn;
    if (fn && this.#reason) fn(this.#reason);
  }

  press(reason: Error): void {
    if (this.#reason) return;
    this.#reason = reason;
    this.#listener?.(reason);
  }
}

export const makeStop = (): StopButton => new Button();
