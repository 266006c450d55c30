/**
 * Which groups have to run before which, while groups still grow. Every group has a level above those of all groups that it
 * reads from, so a search for a path only looks at groups between two levels.
 */
export class GroupOrder {
  readonly #levels = new Map<number, number>();
  readonly #producers = new Map<number, Set<number>>();
  readonly #consumers = new Map<number, Set<number>>();

  /** The group, new or known, reads what `producers` make; none of them may depend on it. */
  add(group: number, producers: Iterable<number>): void {
    const own = this.#producers.get(group) ?? new Set();
    this.#producers.set(group, own);
    let level = this.#levels.get(group) ?? 0;
    for (const producer of producers) {
      if (producer === group || own.has(producer)) continue;
      own.add(producer);
      this.#consumersOf(producer).add(group);
      level = Math.max(level, this.#levels.get(producer)! + 1);
    }
    this.#raise(group, level);
  }

  #consumersOf(group: number): Set<number> {
    let consumers = this.#consumers.get(group);
    if (!consumers) this.#consumers.set(group, (consumers = new Set()));
    return consumers;
  }

  #raise(group: number, level: number): void {
    const pending: [number, number][] = [[group, level]];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const [at, least] = next;
      const known = this.#levels.get(at);
      if (known !== undefined && known >= least) continue;
      this.#levels.set(at, least);
      for (const consumer of this.#consumersOf(at)) pending.push([consumer, least + 1]);
    }
  }

  /** Whether one of `groups`, itself aside, can only run after `group`. */
  depend(groups: Iterable<number>, group: number): boolean {
    const floor = this.#levels.get(group)!;
    const pending = [...groups].filter((other) => other !== group);
    const seen = new Set(pending);
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (at === group) return true;
      if (this.#levels.get(at)! <= floor) continue;
      for (const producer of this.#producers.get(at)!) {
        if (seen.has(producer)) continue;
        seen.add(producer);
        pending.push(producer);
      }
    }
    return false;
  }

  /** All groups, each after those that it reads from, and close to them. */
  sorted(): number[] {
    const done = new Set<number>();
    const entered = new Set<number>();
    for (const root of this.#producers.keys()) {
      const stack = [root];
      for (let at = stack.at(-1); at !== undefined; at = stack.at(-1)) {
        if (entered.has(at)) {
          stack.pop();
          done.add(at);
          continue;
        }
        entered.add(at);
        const waiting = [...this.#producers.get(at)!].filter((producer) => !entered.has(producer));
        stack.push(...waiting.reverse());
      }
    }
    return [...done];
  }
}
