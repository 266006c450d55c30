import type { DrawSource } from '../gpu/draw.ts';
import { type Recipe, recipeOf } from '../runtime/programs.ts';

const known = new Map<string, Recipe>();

/** The recipe of a name, made once: whoever shows frame after frame asks for it for each. */
export function namedRecipe(name: string, make: () => Omit<DrawSource, 'name'>): Recipe {
  let recipe = known.get(name);
  if (!recipe) known.set(name, (recipe = recipeOf({ name, ...make() })));
  return recipe;
}
