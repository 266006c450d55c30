/**
 * The backends that a user may install beside this package. Each exports its factory under the backend's name. They are
 * declared here because they need not be there when this package is compiled.
 */
declare module '@tutti/cuda' {
  export const cuda: import('@tutti/core/backend').BackendFactory;
}
declare module '@tutti/webgpu' {
  export const webgpu: import('@tutti/core/backend').BackendFactory;
}
declare module '@tutti/webgl' {
  export const webgl: import('@tutti/core/backend').BackendFactory;
}
