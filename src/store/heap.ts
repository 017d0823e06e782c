/** A binary heap over plain arrays whose members know their slot, so that any of them can be taken out. */

export interface Ranked {
  rank: number;
  /** Position in its heap; meaningless outside one. */
  slot: number;
}

const lift = <T extends Ranked>(heap: T[], item: T, from: number): void => {
  let slot = from;
  while (slot > 0) {
    const above = (slot - 1) >> 1;
    const parent = heap[above] as T;
    if (parent.rank <= item.rank) break;
    heap[slot] = parent;
    parent.slot = slot;
    slot = above;
  }
  heap[slot] = item;
  item.slot = slot;
};

const sink = <T extends Ranked>(heap: T[], item: T, from: number): void => {
  const size = heap.length;
  let slot = from;
  for (;;) {
    let below = slot * 2 + 1;
    if (below >= size) break;
    if (below + 1 < size && (heap[below + 1] as T).rank < (heap[below] as T).rank) below++;
    const child = heap[below] as T;
    if (child.rank >= item.rank) break;
    heap[slot] = child;
    child.slot = slot;
    slot = below;
  }
  heap[slot] = item;
  item.slot = slot;
};

/** Adds an item that is in no heap, under the given rank. */
export const put = <T extends Ranked>(heap: T[], item: T, rank: number): void => {
  item.rank = rank;
  heap.push(item);
  lift(heap, item, heap.length - 1);
};

/** Takes out a member of this heap. */
export const takeOut = <T extends Ranked>(heap: T[], item: T): void => {
  const slot = item.slot;
  const last = heap.pop();
  if (last === undefined || last === item) return;
  if (slot > 0 && last.rank < (heap[(slot - 1) >> 1] as T).rank) lift(heap, last, slot);
  else sink(heap, last, slot);
};
