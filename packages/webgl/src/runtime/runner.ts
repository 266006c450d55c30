/** Runs the stages of a program. */
import { InternalError } from '@tutti/core/backend';
import type { GlslStage, StageBuffer } from '../program.ts';
import type { GlContext } from './context.ts';
import type { Executable } from './executable.ts';
import { type Block, type TexturePool, texelsOf, type WebglBuffer } from './pool.ts';
import type { Programs, Recipe } from './programs.ts';
import { bandsOf, rectanglesOf } from './ranges.ts';
import type { Transfer } from './transfer.ts';

/**
 * Simple operations in one draw. Longer ones are cut, because a GPU that does not answer for a second or two is taken for dead, and
 * because the page's own frames wait until a draw is done.
 */
const mostOperations = 2 ** 28;

/** What holds a texture: a buffer, or scratch memory. */
interface Holder {
  block: Block;
}

export class Runner {
  readonly #context: GlContext;
  readonly #pool: TexturePool;
  readonly #programs: Programs;
  readonly #transfer: Transfer;

  constructor(context: GlContext, pool: TexturePool, programs: Programs, transfer: Transfer) {
    this.#context = context;
    this.#pool = pool;
    this.#programs = programs;
    this.#transfer = transfer;
  }

  run({ glsl, recipes }: Executable, buffers: readonly WebglBuffer[], scalars: readonly number[]): void {
    const scratch = glsl.scratch.map(
      ({ bytes, rowShift }): Holder => ({
        block: this.#pool.takeTexels(texelsOf(bytes), rowShift === undefined ? undefined : 2 ** rowShift),
      }),
    );
    const holderOf = ({ kind, index }: StageBuffer): Holder => {
      const holder = (kind === 'buffer' ? buffers : scratch)[index];
      if (holder) return holder;
      throw new InternalError(`kernel ${glsl.name}: ${kind} ${index} of a stage is missing`);
    };
    for (const [i, stage] of glsl.stages.entries()) {
      const inputs = stage.inputs.map((input) => holderOf(input).block);
      this.#runStage(stage, recipes[i]!, inputs, stage.outputs.map(holderOf), scalars);
    }
    for (const { block } of scratch) this.#pool.release(block);
  }

  #runStage(
    { texels, operations }: GlslStage,
    recipe: Recipe,
    inputs: readonly Block[],
    [output, ...more]: readonly Holder[],
    scalars: readonly number[],
  ): void {
    const draw = this.#programs.use(recipe);
    if (!output) throw new InternalError(`kernel ${recipe.source.name} stores nothing`);
    const before = output.block;
    if (texels > before.texels) {
      throw new InternalError(
        `kernel ${recipe.source.name} stores ${texels} texels to a buffer of ${before.texels}`,
      );
    }
    // A texture cannot be read where it is drawn to: what is stored goes to another one, which takes its place.
    const target = inputs.includes(before) ? this.#pool.takeTexels(before.texels, before.width) : before;
    const most = Math.max(1, Math.floor(mostOperations / Math.max(1, operations)));
    const bands = bandsOf(rectanglesOf(0, texels, target.width), most);
    const others = more.map(({ block }) => block);
    draw.run(inputs, scalars, target, bands, others);
    if (bands.length > 1) this.#context.gl.flush();
    if (target === before) return;
    this.#transfer.copyTexels(before, target, texels, before.texels);
    output.block = target;
    this.#pool.release(before);
  }
}
