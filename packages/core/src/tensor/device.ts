import {
  type Backend,
  type DeviceBuffer,
  DeviceError,
  type DeviceMemory,
  type TuttiError,
} from '../backend/index.ts';

/** The id of the automatic device until the choice has been made. */
export const undecided = 'auto';

let nextKey = 0;

/** Backends that have been disposed of. */
const ended = new WeakSet<Backend>();

/**
 * A place where tensors live. The automatic device is opened by the first thing that has to run there; all others are
 * open from the start.
 */
export class Device {
  /** Tells devices apart where an id cannot, because the automatic device changes its own. */
  readonly key: number = nextKey++;
  #backend: Backend | undefined;
  #id: string;
  #opening: Promise<Backend> | undefined;
  readonly #choose: (() => Promise<OpenedDevice>) | undefined;

  constructor(source: OpenedDevice | { readonly choose: () => Promise<OpenedDevice> }) {
    if ('choose' in source) {
      this.#id = undecided;
      this.#choose = source.choose;
    } else {
      this.#id = source.id;
      this.#backend = source.backend;
    }
  }

  /** `cpu`, `cuda:1`; `auto` until the automatic choice has been made. */
  get id(): string {
    return this.#id;
  }

  /** What the device ended with: it was lost or disposed of, and its tensors are gone. Undefined while it is well. */
  get failure(): TuttiError | undefined {
    return this.#backend?.failure;
  }

  get isOpen(): boolean {
    return this.#backend !== undefined;
  }

  /** @throws DeviceError while the automatic choice has not been made. */
  get backend(): Backend {
    if (this.#backend) return this.#backend;
    throw new DeviceError('the default device has not been opened yet', {
      received: this.#id,
      fix: "await setDefaultDevice('auto') (or a device id) once, before the first synchronous read",
    });
  }

  async open(): Promise<Backend> {
    if (this.#backend) return this.#backend;
    this.#opening ??= this.#choose!().then(
      (chosen) => {
        this.#id = chosen.id;
        this.#backend = chosen.backend;
        return chosen.backend;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  /** Same device: one object, or two handles of one opened backend. */
  same(other: Device): boolean {
    return this === other || (this.#backend !== undefined && this.#backend === other.#backend);
  }

  /** A tensor may be collected long after its device has ended: there is nothing left to give back then. */
  free(buffer: DeviceBuffer): void {
    if (this.#backend && !ended.has(this.#backend)) this.#backend.free(buffer);
  }

  /** Ends the device, for every handle of it. @internal */
  dispose(): void {
    if (!this.#backend) return;
    ended.add(this.#backend);
    this.#backend.dispose();
  }

  memory(): DeviceMemory {
    return this.#backend?.memory() ?? { bytes: 0, buffers: 0, reserved: 0, allocations: 0 };
  }

  toString(): string {
    return this.#id;
  }
}

/** What `console.log` prints in Node. */
Object.defineProperty(Device.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: Device): string {
    return `Device(${this.id})`;
  },
});

export interface OpenedDevice {
  readonly id: string;
  readonly backend: Backend;
}
