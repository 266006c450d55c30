/**
 * Backends that are planned. Each will export its factory under the backend's name.
 */
declare module '@tutti/cuda' {
  export const cuda: import('@tutti/core/backend').BackendFactory;
}
