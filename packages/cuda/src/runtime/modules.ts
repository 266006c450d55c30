/** Code on the device: one module for each text, however many programs have it. */
import type { KernelStage } from '../program.ts';
import type { CudaDevice } from './device.ts';

export class Modules {
  readonly #device: CudaDevice;
  /** By text. */
  readonly #modules = new Map<string, Promise<number>>();

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** What launches a stage. `name` is the program's, for messages. */
  async functionOf({ code, entry, sharedBytes }: KernelStage, name: string): Promise<number> {
    const module = await this.#load(code, name);
    return this.#device.callWithMemory(`while kernel ${name} was loaded`, (native) =>
      native.getFunction(module, entry, sharedBytes),
    );
  }

  #load(code: string, name: string): Promise<number> {
    let module = this.#modules.get(code);
    if (module) return module;
    const { compiler, health } = this.#device;
    module = health
      .guard(compiler.image(code, name))
      .then((image) =>
        this.#device.callWithMemory(`while kernel ${name} was loaded`, (native) => native.loadModule(image)),
      );
    this.#modules.set(code, module);
    module.catch(() => this.#modules.delete(code)); // told to those who wait for the program
    return module;
  }

  /** Forgets them. The device unloads what it has. */
  dispose(): void {
    this.#modules.clear();
  }
}
