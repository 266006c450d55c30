import { activationCases } from './activations.ts';
import { arithmeticCases } from './arithmetic.ts';
import type { OpCase } from './case.ts';
import { convolutionCases } from './convolutions.ts';
import { creationCases } from './creation.ts';
import { indexingCases } from './indexing.ts';
import { joinCases } from './joins.ts';
import { logicCases } from './logic.ts';
import { lossCases } from './losses.ts';
import { accuracyCases, mathCases } from './math.ts';
import { movementCases } from './moves.ts';
import { networkCases } from './networks.ts';
import { productCases } from './products.ts';
import { longReductionCases, reductionCases } from './reductions.ts';
import { transformCases } from './transforms.ts';

export * from './case.ts';

/** Every case of the suite. A new public operation is a function and a case here. */
export const cases: readonly OpCase[] = [
  ...creationCases,
  ...arithmeticCases,
  ...logicCases,
  ...mathCases,
  ...accuracyCases,
  ...activationCases,
  ...reductionCases,
  ...longReductionCases,
  ...movementCases,
  ...joinCases,
  ...productCases,
  ...convolutionCases,
  ...indexingCases,
  ...networkCases,
  ...lossCases,
  ...transformCases,
];
