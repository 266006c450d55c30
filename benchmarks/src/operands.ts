/**
 * The operands of each work: the same numbers in every process and in every language. A recipe says what they are, so that they need
 * not be sent.
 */
import { cnnParameters, hasGradients, type LanguageModel, type Work } from './work.ts';

/** One operand, row-major. */
export type Recipe = { readonly name: string; readonly shape: readonly number[] } & Fill;

type Fill =
  /** Element i is `offset + scale * uniformAt(start + i)`. */
  | { readonly fill: 'random'; readonly start: number; readonly scale: number; readonly offset: number }
  /** Element i is the integer `(first + i * step) % modulo`. */
  | { readonly fill: 'cycle'; readonly first: number; readonly step: number; readonly modulo: number };

/** The operands by name. */
export type Operands = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

export const operandsOf = (work: Work): Operands =>
  Object.fromEntries(recipesOf(work).map((recipe) => [recipe.name, valuesOf(recipe)]));

function valuesOf(recipe: Recipe): Float32Array<ArrayBuffer> {
  const values = new Float32Array(sizeOf(recipe.shape));
  if (recipe.fill === 'random') {
    const { start, scale, offset } = recipe;
    for (let i = 0; i < values.length; i++) values[i] = offset + scale * uniformAt(start + i);
  } else {
    const { first, step, modulo } = recipe;
    for (let i = 0; i < values.length; i++) values[i] = (first + i * step) % modulo;
  }
  return values;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** Number i of a sequence in [-1, 1) (mulberry32, whose state is a counter). */
function uniformAt(i: number): number {
  const state = (1 + Math.imul(i + 1, 0x6d2b79f5)) | 0;
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1;
}

/** Made one after the other: each random operand takes the numbers behind those of the one before it. */
class Recipes {
  readonly list: Recipe[] = [];
  #start = 0;

  random(name: string, shape: readonly number[], scale = 1, offset = 0): this {
    this.list.push({ name, shape, fill: 'random', start: this.#start, scale, offset });
    this.#start += sizeOf(shape);
    return this;
  }

  cycle(name: string, shape: readonly number[], first: number, step: number, modulo: number): this {
    this.list.push({ name, shape, fill: 'cycle', first, step, modulo });
    return this;
  }
}

export function recipesOf(work: Work): readonly Recipe[] {
  const recipes = new Recipes();
  describe(work, recipes);
  return recipes.list;
}

function describe(work: Work, recipes: Recipes): void {
  switch (work.kind) {
    case 'matmul':
      recipes.random('a', [work.n, work.n]).random('b', [work.n, work.n]);
      return;
    case 'scaleAdd':
    case 'chain':
      recipes.random('x', [work.length]);
      return;
    case 'sum':
      // Off centre, so that the sum is not a small difference of large numbers.
      recipes.random('x', [work.length], 1, 0.25);
      return;
    case 'softmax':
      recipes.random('x', [work.rows, work.columns], 4);
      return;
    case 'layerNorm':
      recipes.random('x', [work.rows, work.columns], 4);
      recipes.random('weight', [work.columns]).random('bias', [work.columns]);
      return;
    case 'conv': {
      const { batch, inputs, outputs, size } = work;
      recipes.random('x', [batch, inputs, size, size]).random('weight', [outputs, inputs, 3, 3], 0.1);
      if (hasGradients(work)) recipes.random('gradient', [batch, outputs, size, size]);
      return;
    }
    case 'attention':
      for (const name of ['q', 'k', 'v', ...(hasGradients(work) ? ['gradient'] : [])])
        recipes.random(name, [work.heads, work.length, work.size]);
      return;
    case 'trainStep':
      trainRecipes(work.batch, recipes);
      return;
    case 'languageModel':
      languageModelRecipes(work, recipes);
      return;
    case 'upload':
      // The deviation of a product is then that of its left operand, which is far from where tanh is flat.
      recipes.random('x', [work.n, work.n]).random('weight', [work.n, work.n], Math.sqrt(3 / work.n));
      return;
    case 'replay':
      recipes.random('x', [16]);
      return;
    case 'firstResult':
      recipes.cycle('a', [2, 2], 1, 1, 100).cycle('b', [2, 2], 5, 1, 100);
  }
}

function trainRecipes(batch: number, recipes: Recipes): void {
  for (const [name, shape] of Object.entries(cnnParameters)) {
    // The bound of PyTorch's initialisation: one over the root of the fan-in, which a bias shares with its weight.
    const weight = cnnParameters[name.replace('bias', 'weight')]!;
    recipes.random(name, shape, 1 / Math.sqrt(sizeOf(weight.slice(1))));
  }
  recipes.random('images', [batch, 1, 28, 28]).cycle('labels', [batch], 0, 7, 10);
}

/** Coprime to every size of vocabulary here, so that texts go through all of it. */
const stride = 7919;

/** Parameters under the names of the module, and a text whose every token says which comes next. */
function languageModelRecipes(work: LanguageModel, recipes: Recipes): void {
  const { batch, context, vocabulary } = work;
  for (const { name, shape, deviation } of languageModelParameters(work)) {
    const isNormWeight = /norm\d?\.weight$/.test(name);
    recipes.random(name, shape, deviation * Math.sqrt(3), isNormWeight ? 1 : 0);
  }
  recipes.cycle('tokens', [batch, context], 0, stride, vocabulary);
  recipes.cycle('targets', [batch, context], stride, stride, vocabulary);
}

interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** GPT-2's: 0.02, less where a block adds to what it was given, and none for biases and norms. */
  readonly deviation: number;
}

function languageModelParameters({ vocabulary, context, layers, width }: LanguageModel): Parameter[] {
  const norm = (name: string): Parameter[] =>
    ['weight', 'bias'].map((part) => ({ name: `${name}.${part}`, shape: [width], deviation: 0 }));
  const linear = (name: string, inputs: number, outputs: number, deviation = 0.02): Parameter[] => [
    { name: `${name}.weight`, shape: [outputs, inputs], deviation },
    { name: `${name}.bias`, shape: [outputs], deviation: 0 },
  ];
  const added = 0.02 / Math.sqrt(2 * layers);
  const blocks = Array.from({ length: layers }, (_, i) => [
    ...norm(`blocks.${i}.norm1`),
    ...linear(`blocks.${i}.project`, width, 3 * width),
    ...linear(`blocks.${i}.out`, width, width, added),
    ...norm(`blocks.${i}.norm2`),
    ...linear(`blocks.${i}.up`, width, 4 * width),
    ...linear(`blocks.${i}.down`, 4 * width, width, added),
  ]);
  return [
    { name: 'tokens.weight', shape: [vocabulary, width], deviation: 0.02 },
    { name: 'positions.weight', shape: [context, width], deviation: 0.02 },
    ...blocks.flat(),
    ...norm('norm'),
  ];
}
