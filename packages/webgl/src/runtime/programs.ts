/** Programs of the GPU: built one after the other, kept by their text, and so many of them at most. */
import type { Draw, DrawContext, DrawSource } from '../gpu/draw.ts';
import { makeDraw } from '../gpu/texel-kernel.ts';
import { compileError } from './compile-error.ts';
import type { GlContext } from './context.ts';
import { TaskQueue } from './tasks.ts';

/** What a program is made of, and what it is kept under. */
export interface Recipe {
  readonly source: DrawSource;
  readonly key: string;
}

export const recipeOf = (source: DrawSource): Recipe => ({
  source,
  key: `${source.inputs.join()}|${source.scalars}|${source.outputs ?? 1}|${source.rowShift ?? ''}|${source.code}`,
});

/** A training step has some hundreds. */
export const mostPrograms = 1024;

export class Programs {
  readonly #context: GlContext;
  readonly #drawContext: DrawContext;
  readonly #most: number;
  /** The least recently used first. */
  readonly #built = new Map<string, Draw>();
  readonly #building = new Map<string, Promise<void>>();
  readonly #queue = new TaskQueue();

  constructor(context: GlContext, drawContext: DrawContext, most: number) {
    this.#context = context;
    this.#drawContext = drawContext;
    this.#most = most;
    context.health.onFailure(() => this.#dispose());
  }

  /** Programs that the GPU holds. */
  get count(): number {
    return this.#built.size;
  }

  /** Builds a program in a task of its own, so that a page is not frozen while many are built. @throws KernelError */
  prepare(recipe: Recipe): Promise<void> {
    const { key } = recipe;
    if (this.#built.has(key)) return Promise.resolve();
    let building = this.#building.get(key);
    if (!building) {
      building = new Promise<void>((resolve, reject) => {
        this.#queue.add(() => {
          this.#building.delete(key);
          try {
            this.#context.enter();
            this.use(recipe);
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      });
      this.#building.set(key, building);
    }
    return building;
  }

  /** The program of a recipe; built at once where it is not, or where others have taken its place since. @throws KernelError */
  use({ source, key }: Recipe): Draw {
    const draw = this.#built.get(key) ?? this.#build(source);
    this.#built.delete(key);
    this.#built.set(key, draw); // last in the map: most recently used
    if (this.#built.size > this.#most) this.#evict(this.#built.keys().next().value!);
    return draw;
  }

  #build(source: DrawSource): Draw {
    const draw = makeDraw(this.#drawContext, source);
    if (typeof draw !== 'string') return draw;
    this.#context.checkLost();
    throw this.#context.health.failure ?? compileError(source, draw);
  }

  #evict(key: string): void {
    this.#built.get(key)?.destroy();
    this.#built.delete(key);
  }

  #dispose(): void {
    for (const key of this.#built.keys()) this.#evict(key);
  }
}
