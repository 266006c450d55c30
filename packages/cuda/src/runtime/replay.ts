/** Which commands of a list that is submitted again and again are worth a graph. */
import type { Command } from '@tutti/core/backend';
import type { Block } from './buffer.ts';
import type { Encoded } from './encode.ts';

/** What makes graphs. */
export interface GraphOwner {
  /** A graph of the commands `from` to `to`, exclusive; undefined where the driver makes none. */
  capture(all: readonly Encoded[], from: number, to: number): number | undefined;
  release(graph: number): void;
}

/** A part of a list, and the graph that stands for it, if there is one. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly graph: number | undefined;
}

/** Fewer commands than this cost less one by one than the launch of a graph does. */
export const leastCommands = 6;
/** So often has a list been seen, with the same commands, before they become graphs: most lists come once. */
const sightings = 3;
/** A list whose commands keep changing after they were captured is left alone at last. */
const mostCaptures = 5;

/**
 * A replayed plan submits the same array again and again, in which a command is another one where its buffers or scalars have changed:
 * those that read the inputs of a step, and those that write its results. The others, which are most, become graphs, piece by piece.
 *
 * A command has the addresses of its buffers for good, because they belong to buffers that live. Only the workspace may be another one
 * later; then the pieces that use it are captured anew.
 */
export class Replay {
  /** Those of `pieces`. */
  readonly graphs: Set<number> = new Set<number>();
  #last: Command[] = [];
  /** For each command, how often it has been seen without a change in between. */
  #seen: number[] = [];
  #rounds = 0;
  #captures = 0;
  #pieces: readonly Piece[] | undefined;
  #workspace: Block | undefined;

  /** There were graphs, or there are. */
  get hasCaptured(): boolean {
    return this.#captures > 0;
  }

  /** How the commands are submitted this time; undefined: one by one. */
  pieces(
    commands: readonly Command[],
    all: readonly Encoded[],
    owner: GraphOwner,
  ): readonly Piece[] | undefined {
    const isOther = commands.length !== this.#last.length;
    const changed = this.#notice(commands);
    const workspace = all.find((encoded) => encoded.workspace)?.workspace;
    if (this.#pieces && (isOther || workspace !== this.#workspace || this.#breaks(changed)))
      this.#drop(owner);
    if (!this.#pieces && this.#rounds >= sightings && this.#captures < mostCaptures) {
      this.#workspace = workspace;
      this.#capture(all, owner);
    }
    return this.#pieces;
  }

  /** Compares with the last time, and gives the positions of what is another. */
  #notice(commands: readonly Command[]): readonly number[] {
    if (commands.length !== this.#last.length) {
      this.#last = [];
      this.#seen = [];
      this.#rounds = 0;
    }
    const changed: number[] = [];
    for (const [i, command] of commands.entries()) {
      if (this.#last[i] === command) {
        this.#seen[i]!++;
        continue;
      }
      this.#last[i] = command;
      this.#seen[i] = 1;
      changed.push(i);
    }
    this.#rounds++;
    return changed;
  }

  /** Whether what has changed is part of a graph. */
  #breaks(changed: readonly number[]): boolean {
    return changed.some((i) =>
      this.#pieces!.some(({ from, to, graph }) => graph !== undefined && i >= from && i < to),
    );
  }

  #drop(owner: GraphOwner): void {
    for (const graph of this.graphs) owner.release(graph);
    this.graphs.clear();
    this.#pieces = undefined;
    this.#rounds = 0;
  }

  #capture(all: readonly Encoded[], owner: GraphOwner): void {
    this.#captures++;
    const pieces: Piece[] = [];
    for (let from = 0; from < all.length; ) {
      const settled = this.#isSettled(from);
      let to = from + 1;
      while (to < all.length && this.#isSettled(to) === settled) to++;
      const graph = settled && to - from >= leastCommands ? owner.capture(all, from, to) : undefined;
      if (graph !== undefined) this.graphs.add(graph);
      pieces.push({ from, to, graph });
      from = to;
    }
    if (this.graphs.size > 0) this.#pieces = pieces;
    else this.#rounds = 0;
  }

  #isSettled = (i: number): boolean => this.#seen[i]! >= sightings;
}
