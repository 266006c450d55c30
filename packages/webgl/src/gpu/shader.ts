/** The GLSL around generated code. */
import type { InputKind } from './draw.ts';

/** Covers the target. Its attribute has the same place in every program, because gpu.js sets it up once for all. */
export const vertexShader = `#version 300 es
layout(location = 0) in vec2 aPos;
void main() {
  gl_Position = vec4(aPos, 0.0, 1.0);
}
`;

export const samplerTypes: Readonly<Record<InputKind, string>> = {
  texels: 'usampler2D',
  pixels: 'sampler2D',
};

export interface FragmentShape {
  /** log2 of the texels in a row of a buffer, and of the targets. */
  readonly rowShift: number;
  readonly targetShift: number;
  readonly outputs: number;
}

/**
 * @param declarations Of the uniforms, which gpu.js calls `user_` and their name.
 * @param names Their names.
 */
export function fragmentShader(
  code: string,
  declarations: string,
  names: readonly string[],
  { rowShift, targetShift, outputs }: FragmentShape,
): string {
  const results = Array.from({ length: outputs }, (_, i) => `tutti_texel${i}`);
  return `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
${declarations}${names.map((name) => `#define ${name} user_${name}\n`).join('')}${results
  .map((name, i) => `layout(location = ${i}) out uvec4 ${name};\n`)
  .join('')}uvec4 fetch(highp usampler2D t, int index) {
  return texelFetch(t, ivec2(index & ${2 ** rowShift - 1}, index >> ${rowShift}), 0);
}
#line 1
${code}
void main() {
  int tutti_index = (int(gl_FragCoord.y) << ${targetShift}) | int(gl_FragCoord.x);
  ${outputs === 1 ? `${results[0]} = texel(tutti_index)` : `texels(tutti_index, ${results.join(', ')})`};
}
`;
}
