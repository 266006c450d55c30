/**
 * The block of shared memory through which the threads agree on what to do. All of it is 32-bit words.
 *
 * Work is a ring of *stages*. `state` names the current stage (a serial number, 20 bits) and the next chunk of it that
 * nobody has claimed (12 bits). A thread claims a chunk by swapping `state` for `state + 1`; the swap fails if anything
 * has moved since the thread looked, so a claim is always for the stage whose entry was read. Whoever finishes the last
 * chunk of a stage publishes the next one. No thread waits for another that has nothing to do with the stage: a run of
 * small stages goes through one thread at full speed while the others rest.
 */

/** Positions of the words. Those that different threads write often lie on cache lines of their own. */
export const word = {
  /** Current stage's serial number << chunkBits | next unclaimed chunk. */
  state: 0,
  /** Chunks of the current stage that are finished. */
  done: 16,
  /** Serial number of the first stage that does not exist yet. */
  tail: 32,
  /** Rises when threads at rest should look again; they sleep on it. */
  signal: 48,
  sleepers: 49,
  /** Finished submissions (wraps at 2^32). */
  finished: 64,
  /** Rises when a submission finishes or the device fails; the main thread sleeps on it. */
  notice: 65,
  /** Messages posted to every worker; one that has handled fewer returns to its event loop to take them. */
  messages: 80,
  stop: 81,
  /** Workers whose event loop has started. */
  ready: 82,
  /** 1: the thread that finishes a submission also posts a message (where `Atomics.waitAsync` is missing). */
  report: 83,
  /** 0, or 1 + the function that failed. */
  failed: 85,
  /** Length in bytes of the failure's text, which starts at `text`. */
  textLength: 86,
  text: 96,
  ring: 192,
} as const;

export const textBytes: number = (word.ring - word.text) * 4;

export const chunkBits = 12;
export const chunkMask: number = (1 << chunkBits) - 1;
/** Most chunks of one stage. */
export const maximumChunks: number = chunkMask;
export const serialMask = 0xfffff;

/** Stages in flight; a power of two, far below the range of the serial numbers. */
export const ringSlots = 8192;
/** The main thread hears of every so manieth stage, to refill a ring that one submission has filled. A power of two. */
export const noticeEvery = 1024;

/** An entry of the ring: positions of its words. */
export const entry = {
  function: 0,
  units: 1,
  chunkUnits: 2,
  chunks: 3,
  /** Address of the argument block. */
  args: 4,
  /** A thread's scratch memory is at `scratch + thread * scratchStride`. */
  scratch: 5,
  scratchStride: 6,
  /** 1: the last stage of a submission. */
  last: 7,
} as const;
export const entryWords = 8;

export const controlWords: number = word.ring + ringSlots * entryWords;

/** Behind the words: start and end in milliseconds of every slot's stage, as pairs of 64-bit floats. */
export const controlBytes: number = controlWords * 4 + ringSlots * 16;

/** Begin, end, args, scratch: see `stageParameters`. */
export type StageFunction = (begin: number, end: number, args: number, scratch: number) => void;

/** What the main thread posts to workers. */
export type WorkerMessage =
  | {
      readonly kind: 'start';
      readonly control: SharedArrayBuffer;
      readonly memory: WebAssembly.Memory;
      readonly thread: number;
      /** Of the workers that there are, the one that rests first. */
      readonly last: boolean;
    }
  | ModuleMessage;

/** Functions `first .. first + count - 1`, exported by the module as `f0`, `f1`, ... */
export interface ModuleMessage {
  readonly kind: 'module';
  readonly module: WebAssembly.Module;
  readonly first: number;
  readonly count: number;
}

/** What a worker posts, and only where `report` asks for it. */
export type WorkerReport = 'finished';
