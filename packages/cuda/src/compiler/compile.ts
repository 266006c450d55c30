/** From CUDA C to code of the device, through the cache. */
import { KernelError, messageOf, numbered } from '@tutti/core/backend';
import { type Compiler, interfaceVersion } from '../native/binding.ts';
import { cacheKey, type DiskCache } from './cache.ts';

/** What has been compiled, and how long it took. */
export interface CompilationFigures {
  readonly compiled: number;
  readonly fromDisk: number;
  /** During which something was being compiled. */
  readonly milliseconds: number;
}

export interface KernelCompilerOptions {
  readonly compiler: Compiler;
  /** `sm_90a` */
  readonly architecture: string;
  /** Tells compilers of the same version apart, where that is needed. */
  readonly identity: string;
  readonly cache: DiskCache | undefined;
}

export class KernelCompiler {
  readonly #compiler: Compiler;
  readonly #cache: DiskCache | undefined;
  readonly #options: readonly string[];
  readonly #identity: readonly string[];
  #compiled = 0;
  #fromDisk = 0;
  #milliseconds = 0;
  #underWay = 0;
  #busySince = 0;

  constructor({ compiler, architecture, identity, cache }: KernelCompilerOptions) {
    this.#compiler = compiler;
    this.#cache = cache;
    this.#options = [`--gpu-architecture=${architecture}`, '--std=c++17', '-fmad=false'];
    this.#identity = [String(interfaceVersion), compiler.version.join('.'), identity, ...this.#options];
  }

  get figures(): CompilationFigures {
    return { compiled: this.#compiled, fromDisk: this.#fromDisk, milliseconds: this.#milliseconds };
  }

  /** The code of a text. @throws KernelError with the numbered text where it does not compile. */
  async image(code: string, name: string): Promise<Uint8Array> {
    if (!this.#cache) return this.#compile(code, name);
    const key = cacheKey([...this.#identity, code]);
    const kept = await this.#cache.get(key);
    if (kept) {
      this.#fromDisk++;
      return kept;
    }
    const image = await this.#compile(code, name);
    await this.#cache.put(key, image);
    return image;
  }

  /** As {@link image}, while the caller waits. */
  imageSync(code: string, name: string): Uint8Array {
    const key = cacheKey([...this.#identity, code]);
    const kept = this.#cache?.getSync(key);
    if (kept) {
      this.#fromDisk++;
      return kept;
    }
    this.#begin();
    try {
      const { image } = this.#compiler.compileSync(code, `${name}.cu`, this.#options);
      void this.#cache?.put(key, image); // never rejects
      return image;
    } catch (error) {
      throw compileError(name, code, error);
    } finally {
      this.#end();
    }
  }

  async #compile(code: string, name: string): Promise<Uint8Array> {
    this.#begin();
    try {
      const { image } = await this.#compiler.compile(code, `${name}.cu`, this.#options);
      return image;
    } catch (error) {
      throw compileError(name, code, error);
    } finally {
      this.#end();
    }
  }

  #begin(): void {
    if (this.#underWay++ === 0) this.#busySince = performance.now();
  }

  #end(): void {
    this.#compiled++;
    if (--this.#underWay === 0) this.#milliseconds += performance.now() - this.#busySince;
  }
}

/** "name.cu(12): error: ..." as NVRTC says it, or "name.cu:12:5: error: ...". */
const place = /^[^\s:(]*(?:\((\d+)\)|:(\d+)(?::\d+)?): (?:catastrophic |fatal )?error(?: #[\w-]+)?: /;

export function compileError(name: string, code: string, error: unknown): KernelError {
  const { code: kind, log } = error as { readonly code?: unknown; readonly log?: unknown };
  const said = typeof log === 'string' && log.trim() !== '' ? log : undefined;
  const lines = said?.split('\n').map((line) => line.trim()) ?? [];
  const errors = lines
    .filter((line) => place.test(line))
    .map((line) => line.replace(place, (_, a, b) => `line ${a ?? b}: `));
  const [first = lines.find((line) => line !== '') ?? messageOf(error), ...more] = errors;
  const others = more.length > 0 ? ` (and ${more.length} more)` : '';
  const what = kind === 'NVRTC_ERROR_COMPILATION' || said ? 'does not compile' : 'was not compiled';
  return new KernelError(`kernel ${name} ${what}: ${first}${others}`, {
    op: name,
    received: said ? `${numbered(code)}\n\n${said.trim()}` : numbered(code),
    cause: error,
    fix: 'this is a defect of the library; please report it with the CUDA C in `received`',
  });
}
