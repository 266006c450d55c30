import {
  type Command,
  DeviceError,
  DisposedError,
  InternalError,
  OutOfMemoryError,
} from '@tutti/core/backend';
import type { WasmProgram } from '../program.ts';
import { type Allocator, type Block, spareBytes } from './allocator.ts';
import { ArgumentArena } from './arguments.ts';
import { CpuBuffer } from './buffer.ts';
import { entry, entryWords, maximumChunks } from './control.ts';
import { copyBlock, copyCost, copyGrain, copyProgram } from './copy.ts';
import type { LinearMemory } from './linear-memory.ts';
import type { Modules } from './modules.ts';

/** A command as the threads want it. */
export interface Encoded {
  /** Ring entries, one for each stage. Scratch memory and the `last` mark are filled in when they are queued. */
  readonly entries: Int32Array;
  /** Of all stages on one thread, in nanoseconds. */
  readonly cost: number;
  readonly buffers: readonly CpuBuffer[];
  readonly scratchBytes: number;
  /** Of the workspace whose address the argument block holds; 0 where the program has none. */
  readonly workspace: number;
}

/**
 * Stages below this many nanoseconds are left to one thread. Measured on two cores: the hand-over between stages costs
 * 0.3 µs, and fetching the other core's results about as much again per 8 KiB, so two threads win from 6 to 10 µs up.
 */
const shareFrom = 6_000;
/** Least work of one chunk, in nanoseconds. Claiming one costs about 0.1 µs. */
const chunkCost = 2_000;
/** Chunks per thread: enough to even out threads of different speed, few enough to keep rows together. */
const chunksPerThread = 8;

const floats = new Float32Array(1);
const floatBits = new Int32Array(floats.buffer);

/** Encodes commands, and remembers those that come back. */
export class Encoder {
  readonly #memory: LinearMemory;
  readonly #allocator: Allocator;
  readonly #modules: Modules;
  readonly #threads: number;
  readonly #arena: ArgumentArena;
  readonly #known = new WeakMap<Command, Encoded | null>();
  /** Argument blocks of remembered commands go when the command has gone. */
  readonly #forget: FinalizationRegistry<Block>;
  #workspace: Block | undefined;
  #workspaceNumber = 0;

  /** @param submitted Number of the last submission so far. */
  constructor(
    memory: LinearMemory,
    allocator: Allocator,
    modules: Modules,
    threads: number,
    submitted: () => number,
  ) {
    this.#memory = memory;
    this.#allocator = allocator;
    this.#modules = modules;
    this.#threads = threads;
    this.#arena = new ArgumentArena(allocator);
    this.#forget = new FinalizationRegistry((block) => allocator.release(block, submitted()));
  }

  /**
   * Encodes a command for submission number `serial`. The first time, its arguments go to memory that is recycled after
   * that submission; a command that comes back is one of a captured plan, and keeps them.
   */
  encode(command: Command, serial: number, completed: number, owner: object): Encoded {
    const known = this.#known.get(command);
    if (known && (known.workspace === 0 || known.workspace === this.#workspaceNumber)) {
      for (const buffer of known.buffers) {
        if (buffer.freed) throw freedError(command);
        buffer.lastUse = serial;
      }
      return known;
    }
    const buffers = command.kind === 'copy' ? [command.source, command.target] : command.buffers;
    const own: CpuBuffer[] = [];
    for (const buffer of buffers) {
      if (!(buffer instanceof CpuBuffer) || buffer.owner !== owner) {
        throw new DeviceError('a command names a buffer of another device');
      }
      if (buffer.freed) throw freedError(command);
      buffer.lastUse = serial;
      own.push(buffer);
    }
    const bytes = command.kind === 'copy' ? 16 : 4 * (own.length + 1 + command.scalars.length);
    let args: number;
    if (known === undefined) {
      args = this.#arena.take(bytes, serial, completed);
      this.#known.set(command, null);
      return this.#write(command, own, args, serial);
    }
    const block = this.#allocator.allocate(bytes, true);
    if (!block) throw new OutOfMemoryError('no memory is left for the arguments of a command');
    this.#forget.register(command, block);
    args = block.address;
    const encoded = this.#write(command, own, args, serial);
    this.#known.set(command, encoded);
    return encoded;
  }

  /** A copy that no command asked for: a host write that has to wait its turn. */
  encodeCopy(source: number, target: number, bytes: number, serial: number, completed: number): Encoded {
    const args = this.#arena.take(16, serial, completed);
    return this.#copy(source, target, bytes, args, []);
  }

  #write(command: Command, buffers: readonly CpuBuffer[], args: number, serial: number): Encoded {
    if (command.kind === 'copy') {
      return this.#copy(buffers[0]!.address, buffers[1]!.address, command.bytes, args, buffers);
    }
    const program = command.program as WasmProgram;
    if (buffers.length !== program.bufferCount || command.scalars.length !== program.scalarCount) {
      throw new InternalError(
        `${program.name} binds ${program.bufferCount} buffers and ${program.scalarCount} scalars, ` +
          `not ${buffers.length} and ${command.scalars.length}`,
      );
    }
    const first = this.#modules.firstFunction(program);
    const workspace = program.workspaceBytes > 0 ? this.#workspaceFor(program.workspaceBytes, serial) : 0;
    const words = this.#memory.words;
    let at = args >>> 2;
    for (const buffer of buffers) words[at++] = buffer.address;
    words[at++] = workspace;
    for (const [i, scalar] of command.scalars.entries()) {
      if (program.scalarTypes[i] === 'f32') {
        floats[0] = scalar;
        words[at++] = floatBits[0]!;
      } else words[at++] = scalar;
    }
    const entries = new Int32Array(program.stages.length * entryWords);
    let cost = 0;
    for (const [i, stage] of program.stages.entries()) {
      this.#entry(entries, i, first + i, args, stage.units, stage.grain, stage.cost);
      cost += stage.units * stage.cost;
    }
    const number = workspace ? this.#workspaceNumber : 0;
    return { entries, cost, buffers, scratchBytes: program.scratchBytes, workspace: number };
  }

  #copy(source: number, target: number, bytes: number, args: number, buffers: readonly CpuBuffer[]): Encoded {
    const at = args >>> 2;
    const { words } = this.#memory;
    words[at] = source;
    words[at + 1] = target;
    words[at + 2] = 0;
    words[at + 3] = bytes;
    const units = Math.ceil(bytes / copyBlock);
    const entries = new Int32Array(entryWords);
    this.#entry(entries, 0, this.#modules.firstFunction(copyProgram), args, units, copyGrain, copyCost);
    return { entries, cost: units * copyCost, buffers, scratchBytes: 0, workspace: 0 };
  }

  #entry(
    entries: Int32Array,
    index: number,
    fn: number,
    args: number,
    units: number,
    grain: number,
    cost: number,
  ): void {
    const at = index * entryWords;
    const total = units * cost;
    const grains = Math.max(1, Math.ceil(units / grain));
    const share = total < shareFrom ? 1 : Math.min(this.#threads * chunksPerThread, total / chunkCost);
    const wanted = Math.max(1, Math.min(Math.floor(share), grains, maximumChunks));
    const chunkUnits = Math.ceil(grains / wanted) * grain;
    entries[at + entry.function] = fn;
    entries[at + entry.units] = units;
    entries[at + entry.chunkUnits] = chunkUnits;
    // A stage without units still passes through one (empty) chunk: that is what moves the ring on.
    entries[at + entry.chunks] = Math.max(1, Math.ceil(units / chunkUnits));
    entries[at + entry.args] = args;
  }

  /**
   * The workspace, which all programs share because they run one after another. When it has to grow, the old one is
   * given back once the queue has passed, and argument blocks that hold its address are written anew.
   */
  #workspaceFor(bytes: number, serial: number): number {
    const before = this.#workspace ? this.#workspace.size - spareBytes : 0;
    if (this.#workspace && bytes <= before) return this.#workspace.address;
    const wanted = Math.max(bytes, Math.min(before * 2, before + 2 ** 26));
    const block = this.#allocator.allocate(wanted) ?? this.#allocator.allocate(bytes);
    if (!block) {
      throw new OutOfMemoryError(`no memory is left for a workspace of ${bytes} bytes`, { received: bytes });
    }
    if (this.#workspace) this.#allocator.release(this.#workspace, serial);
    this.#workspace = block;
    this.#workspaceNumber++;
    return block.address;
  }
}

const freedError = (command: Command): DisposedError =>
  new DisposedError(
    `${command.kind === 'copy' ? 'a copy' : command.program.name} names a buffer that has been freed`,
  );
