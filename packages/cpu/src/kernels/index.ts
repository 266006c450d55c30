/** From LoopIR to WebAssembly. */
export { compileKernel } from './compile.ts';
export { type EpilogueAnchor, emitEpilogue, epilogueCost, epilogueParameters } from './epilogue.ts';
