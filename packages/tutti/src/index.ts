/**
 * Tutti: tensors, automatic differentiation, layers, optimisers and data. Importing this package registers the backends
 * that are installed; the first computation opens the best device, or the one that `TUTTI_DEVICE` names.
 */
import './register.ts';

export * from '@tutti/core';
export * as data from '@tutti/data';
export * as nn from '@tutti/nn';
export * as optim from '@tutti/optim';
export { type KnownBackend, knownBackends } from './known.ts';
