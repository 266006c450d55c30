/** What a bundler for browsers takes in place of the package: nothing of Node. */
import type { BackendFactory } from '@tutti/core/backend';
import { BackendUnavailableError } from '@tutti/core/backend';

const absent = {
  reason: 'CUDA is for Node: a page has no access to it',
  fix: 'use webgpu, which runs on the same GPU',
} as const;

export const cuda: BackendFactory = {
  name: 'cuda',
  priority: 40,
  probe: async () => ({ available: false, ...absent }),
  open: () => Promise.reject(new BackendUnavailableError(absent.reason, { fix: absent.fix })),
};

export const createCudaBackend = (): BackendFactory => cuda;
