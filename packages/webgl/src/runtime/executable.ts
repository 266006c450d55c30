import { type Health, numbered, type Program, uncompiled } from '@tutti/core/backend';
import type { DrawSource } from '../gpu/draw.ts';
import type { GlslProgram, GlslStage } from '../program.ts';
import { type Programs, type Recipe, recipeOf } from './programs.ts';

/**
 * A program with its stages built: what commands carry. It is built when somebody first asks whether it is ready: the compiler asks for
 * routines that it does not take in the end.
 */
export class Executable implements Program {
  readonly name: string;
  readonly glsl: GlslProgram;
  /** Tells programs of two devices of this kind apart. */
  readonly owner: object;
  readonly #programs: Programs;
  readonly #health: Health;
  readonly #recipes: readonly Recipe[];
  #built = false;
  #ready: Promise<void> | undefined;

  constructor(glsl: GlslProgram, programs: Programs, health: Health, owner: object) {
    this.name = glsl.name;
    this.glsl = glsl;
    this.owner = owner;
    this.#programs = programs;
    this.#health = health;
    this.#recipes = glsl.stages.map((stage) => recipeOf(sourceOf(glsl, stage)));
  }

  /** Undefined once all stages are built. */
  get ready(): Promise<void> | undefined {
    if (this.#built || this.#ready) return this.#ready;
    const building = Promise.all(this.#recipes.map((recipe) => this.#programs.prepare(recipe)));
    this.#ready = this.#health.guard(
      building.then(() => {
        this.#built = true;
        this.#ready = undefined;
      }),
    );
    this.#ready.catch(() => {}); // told to those who wait
    return this.#ready;
  }

  /** Builds what has not been built yet, while the caller waits. @throws KernelError */
  finish(): void {
    if (this.#built) return;
    for (const recipe of this.#recipes) this.#programs.use(recipe);
    this.#built = true;
    this.#ready = undefined;
  }

  /** In the order of the stages. @throws KernelError when they have not been built. */
  get recipes(): readonly Recipe[] {
    if (this.#built) return this.#recipes;
    throw uncompiled(this);
  }

  /** The GLSL of all stages, with line numbers as error messages have them. */
  source = (): string => {
    const { stages } = this.glsl;
    return stages
      .map(
        ({ code, texels }, i) => `// stage ${i + 1} of ${stages.length}, ${texels} texels\n${numbered(code)}`,
      )
      .join('\n\n');
  };
}

function sourceOf(
  { name, scalarTypes, scratch }: GlslProgram,
  { code, inputs, outputs }: GlslStage,
): DrawSource {
  const [first] = outputs;
  const rowShift = first?.kind === 'scratch' ? scratch[first.index]?.rowShift : undefined;
  return {
    name,
    code,
    inputs: inputs.map(() => 'texels'),
    scalars: scalarTypes.length,
    outputs: outputs.length,
    ...(rowShift === undefined ? {} : { rowShift }),
  };
}
