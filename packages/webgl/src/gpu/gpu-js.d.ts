/** What is used of gpu.js, whose own types describe its entry point only. */
declare module 'gpu.js/src/backend/web-gl2/kernel.js' {
  /** What binds an argument of a kernel to its uniform. */
  export interface KernelValue {
    /** The declaration of the uniform. */
    getSource(value: unknown): string;
    setup(): void;
    updateValue(value: unknown): void;
    destroy(): void;
  }

  export interface KernelValueSettings {
    readonly name: string;
    readonly context: WebGL2RenderingContext;
    readonly kernel: WebGL2Kernel;
    readonly onRequestIndex: () => number;
    readonly onRequestContextHandle: () => number;
  }

  export type KernelValueClass = new (value: never, settings: KernelValueSettings) => KernelValue;

  export class WebGL2Kernel {
    static lookupKernelValueType(
      type: string,
      dynamic: string,
      precision: string,
      value: unknown,
    ): KernelValueClass;

    constructor(source: string, settings: object);

    argumentNames: readonly string[];
    buffer: WebGLBuffer | null;
    built: boolean;
    context: WebGL2RenderingContext;
    extensions: Record<string, unknown>;
    fallbackReason: string | null;
    fallbackRequested: boolean;
    fragShader: WebGLShader | null;
    framebuffer: WebGLFramebuffer | null;
    kernelArguments: readonly KernelValue[];
    maxTexSize: readonly [number, number];
    program: WebGLProgram | null;
    returnType: string;
    switchingKernels: readonly unknown[] | null;
    texSize: readonly [number, number];
    texture: object | null;
    translatedSource: string;

    build(...args: unknown[]): void;
    run(...args: unknown[]): void;
    destroy(): void;
    setUniform1i(name: string, value: number): void;

    buildSignature(args: ArrayLike<unknown>): void;
    destroyExtensions(): void;
    getFragmentShader(args: ArrayLike<unknown>): string;
    getVertexShader(args: ArrayLike<unknown>): string;
    initExtensions(): void;
    translateSource(): void;
    updateMaxTexSize(): void;
    validateSettings(args: ArrayLike<unknown>): void;
  }
}
