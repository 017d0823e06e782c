/** A doubly linked list of objects that carry their own links: the order of last use, moved in constant time. */

export interface Linked<T> {
  before: T | undefined;
  after: T | undefined;
  linked: boolean;
}

export interface Chain<T extends Linked<T>> {
  first(): T | undefined;
  last(): T | undefined;
  append(item: T): void;
  remove(item: T): void;
}

export const makeChain = <T extends Linked<T>>(): Chain<T> => {
  let head: T | undefined;
  let tail: T | undefined;
  const remove = (item: T): void => {
    if (!item.linked) return;
    if (item.before) item.before.after = item.after;
    else head = item.after;
    if (item.after) item.after.before = item.before;
    else tail = item.before;
    item.before = undefined;
    item.after = undefined;
    item.linked = false;
  };
  return {
    first: () => head,
    last: () => tail,
    append: (item) => {
      remove(item);
      item.before = tail;
      if (tail) tail.after = item;
      else head = item;
      tail = item;
      item.linked = true;
    },
    remove,
  };
};
