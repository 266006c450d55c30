export { type CpuOptions, cpu, createCpuBackend } from './factory.ts';
