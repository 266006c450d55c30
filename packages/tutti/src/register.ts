import { registerBackend } from '@tutti/core';
import { knownBackends } from './known.ts';

// Costs nothing: no optional package is imported and no driver is touched before a device is asked for.
for (const { factory } of knownBackends) registerBackend(factory);
