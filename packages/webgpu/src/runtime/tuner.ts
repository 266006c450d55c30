/** Times several programs for the same work, once, and remembers the fastest. */
import {
  type BufferParam,
  type DeviceBuffer,
  type DispatchCommand,
  dtypeInfo,
  type Program,
} from '@tutti/core/backend';
import type { Candidates, WgslProgram } from '../program.ts';
import type { Tuning } from '../tuning.ts';

/** What of a device is needed to time programs. */
export interface Bench {
  load(program: WgslProgram): Program;
  allocate(bytes: number): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  time(commands: readonly DispatchCommand[]): Promise<readonly number[]>;
}

/** More memory than this is not taken for a measurement. */
const mostBytes = 512 * 1024 * 1024;
/** Most runs of each program; browsers round single times to 0.1 ms. Fewer where they take longer than this, in milliseconds. */
const mostRuns = 16;
const longRuns = 20;
/** What is less than this much faster than the first candidate is taken for noise. */
const gain = 0.9;

export class Tuner {
  readonly #tuning: Tuning;
  readonly #adapter: string;
  readonly #bench: Bench;
  /** Measurements do not run side by side. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(tuning: Tuning, adapter: string, bench: Bench) {
    this.#tuning = tuning;
    this.#adapter = adapter;
    this.#bench = bench;
  }

  /** The fastest of the candidates; the first where they cannot be timed. */
  choose(candidates: Candidates): Promise<WgslProgram> {
    const known = this.#known(candidates);
    if (known) return Promise.resolve(known);
    if (!fits(candidates.buffers)) return Promise.resolve(candidates.variants.values().next().value!);
    const result = this.#queue.then(() => this.#known(candidates) ?? this.#measure(candidates));
    this.#queue = result;
    return result;
  }

  #keyOf({ key }: Candidates): string {
    return `${this.#adapter}: ${key}`;
  }

  #known(candidates: Candidates): WgslProgram | undefined {
    const choice = this.#tuning.get(this.#keyOf(candidates));
    return choice && candidates.variants.get(choice.variant);
  }

  async #measure(candidates: Candidates): Promise<WgslProgram> {
    const [first, usual] = candidates.variants.entries().next().value!;
    const milliseconds: Record<string, number> = {};
    const buffers: DeviceBuffer[] = [];
    try {
      for (const bytes of bytesOf(candidates.buffers)) buffers.push(this.#bench.allocate(bytes));
      for (const [name, wgsl] of candidates.variants) {
        milliseconds[name] = await this.#timeOf(wgsl, buffers);
      }
    } catch {
      return usual; // which tells by itself what is wrong
    } finally {
      for (const buffer of buffers) this.#bench.free(buffer);
    }
    let variant = first;
    for (const [name, time] of Object.entries(milliseconds)) {
      if (time < milliseconds[variant]! && time < gain * milliseconds[first]!) variant = name;
    }
    this.#tuning.set(this.#keyOf(candidates), { variant, milliseconds });
    return candidates.variants.get(variant)!;
  }

  async #timeOf(wgsl: WgslProgram, buffers: readonly DeviceBuffer[]): Promise<number> {
    const program = this.#bench.load(wgsl);
    await program.ready;
    const scalars = wgsl.scalarTypes.map(() => 0);
    const command: DispatchCommand = { kind: 'dispatch', program, buffers, scalars };
    // The first run may have to bring things into place.
    const [, once = 0] = await this.#bench.time([command, command]);
    const runs = Math.max(1, Math.min(mostRuns, Math.round(longRuns / once)));
    const times = await this.#bench.time(Array.from({ length: runs }, () => command));
    return times.reduce((sum, time) => sum + time, 0) / runs;
  }
}

const bytesOf = (buffers: readonly BufferParam[]): number[] =>
  buffers.map(({ dtype, length }) => length * dtypeInfo[dtype].bytes);

/** Whether a measurement may take the memory for these buffers. */
const fits = (buffers: readonly BufferParam[]): boolean =>
  bytesOf(buffers).reduce((sum, bytes) => sum + bytes, 0) <= mostBytes;
