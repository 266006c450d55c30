export type { GlslProgram, GlslStage, ShaderFeatures, StageBuffer } from './program.ts';
