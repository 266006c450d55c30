/** Work of all kinds at random, on a device and on arrays of the host. */
import type { Backend, Command, DeviceBuffer, Program } from '../../backend/index.ts';
import {
  affineOf,
  bytesOf,
  type CheckedDevice,
  copy,
  dispatch,
  download,
  integers,
  intsOf,
  nothingLeft,
  type OpenDevice,
  ready,
  same,
  upload,
} from './check.ts';

/** A buffer, and what it should hold. */
interface Cell {
  buffer: DeviceBuffer;
  model: number[];
}

/** Elements of a cell. */
const n = 64;

class Course {
  readonly #backend: Backend;
  readonly #programs: readonly [Program, Program];
  readonly #below: (limit: number) => number = integers(12345);
  readonly #cells: readonly Cell[];
  /** Of a list of commands that is submitted again and again. */
  readonly #ring: readonly Cell[];
  readonly #list: Command[];
  readonly #reads: (() => Promise<void>)[] = [];

  constructor(backend: Backend, programs: readonly [Program, Program]) {
    this.#backend = backend;
    this.#programs = programs;
    this.#cells = Array.from({ length: 6 }, () => this.#fresh());
    this.#ring = Array.from({ length: 4 }, () => this.#fresh());
    this.#list = Array.from({ length: 12 }, (_, i) => {
      const [a, b] = this.#link(i);
      return dispatch(programs[0], [a.buffer, b.buffer], [i]);
    });
  }

  #fresh(): Cell {
    const model = Array.from({ length: n }, () => this.#below(1000));
    return { buffer: upload(this.#backend, model), model };
  }

  /** What the i-th command of the list reads and writes. */
  #link(i: number): readonly [Cell, Cell] {
    return [this.#ring[i % 4]!, this.#ring[(i + 1) % 4]!];
  }

  /** One command of the list changes each time. */
  #replay(from: Cell): void {
    const [to, scalar] = [this.#ring[0]!, this.#below(50)];
    this.#list[5] = dispatch(this.#programs[1], [from.buffer, to.buffer], [scalar]);
    this.#backend.submit(this.#list);
    for (const i of this.#list.keys()) {
      const [a, b] = i === 5 ? [from, to] : this.#link(i);
      b.model = a.model.map((value) => affineOf(value, i === 5 ? scalar : i));
    }
  }

  #compute(a: Cell, b: Cell): void {
    const scalar = this.#below(100) - 50;
    const program = this.#programs[this.#below(2)]!;
    this.#backend.submit([dispatch(program, [a.buffer, b.buffer], [scalar])]);
    b.model = a.model.map((value) => affineOf(value, scalar));
  }

  #copyPart(a: Cell, b: Cell): void {
    const bytes = this.#below(n * 4 + 1);
    this.#backend.submit([copy(a.buffer, b.buffer, bytes)]);
    overwrite(b, bytesOf(a.model).subarray(0, bytes), 0);
  }

  #write(cell: Cell): void {
    const data = Uint8Array.from({ length: this.#below(20) }, () => this.#below(256));
    const at = this.#below(n * 4 - data.length + 1);
    this.#backend.write(cell.buffer, data, at);
    overwrite(cell, data, at);
  }

  #replace(cell: Cell): void {
    this.#backend.free(cell.buffer);
    Object.assign(cell, this.#fresh());
  }

  #read({ buffer, model }: Cell, number: number): void {
    const values = download(this.#backend, buffer);
    this.#reads.push(async () => same(`what was read in step ${number}`, await values, model));
  }

  async #settle(): Promise<void> {
    for (const each of this.#reads.splice(0)) await each();
  }

  /** A promise where what was read so far is waited for: everything else goes on at once. */
  step(number: number): Promise<void> | undefined {
    const [a, b] = [this.#cells[this.#below(6)]!, this.#cells[this.#below(6)]!];
    const kind = this.#below(22);
    if (kind < 8 && a !== b) this.#compute(a, b);
    else if (kind < 10) this.#replay(a);
    else if (kind < 13 && a !== b) this.#copyPart(a, b);
    else if (kind < 16) this.#write(kind === 15 ? this.#ring[this.#below(4)]! : a);
    else if (kind < 18) this.#replace(a);
    else if (kind < 20) this.#read(a, number);
    else if (this.#below(6) > 0) return undefined;
    else if (kind === 20) return this.#settle();
    else this.#readSync(a, number);
    return undefined;
  }

  #readSync({ buffer, model }: Cell, number: number): void {
    const bytes = this.#backend.readSync?.(buffer, 0, n * 4);
    if (bytes) same(`what was read at once in step ${number}`, intsOf(bytes), model);
  }

  async end(): Promise<void> {
    await this.#settle();
    for (const { buffer, model } of [...this.#cells, ...this.#ring]) {
      same('what is there in the end', await download(this.#backend, buffer), model);
      this.#backend.free(buffer);
    }
  }
}

function overwrite(cell: Cell, data: Uint8Array, at: number): void {
  const mixed = bytesOf(cell.model);
  mixed.set(data, at);
  cell.model = intsOf(mixed);
}

/** Submissions, writes, copies, reads and frees at random, against a model; among them a list of commands that comes again and again. */
export async function randomSteps(open: OpenDevice, steps: number): Promise<void> {
  const device: CheckedDevice = await open();
  const course = new Course(device.backend, [
    await ready(device.affine(n)),
    await ready(device.affine(n, 200)),
  ]);
  for (let number = 0; number < steps; number++) {
    const waiting = course.step(number);
    if (waiting) await waiting;
  }
  await course.end();
  nothingLeft(device);
}
