/** Copies between buffers, as a program like any other: buffers source and target, and the number of bytes as scalar. */
import type { WasmProgram } from '../program.ts';

/** Bytes of one unit. */
export const copyBlock = 4096;
/** Units in the smallest range: below 64 KiB a second thread brings nothing. */
export const copyGrain = 16;
/** Nanoseconds for one unit, at about 8 GB/s. */
export const copyCost = 500;

export const copyProgram: WasmProgram = {
  name: 'copy',
  source: () => 'memory.copy in blocks of 4096 bytes',
  stages: [
    {
      units: 0, // each command brings its own
      grain: copyGrain,
      cost: copyCost,
      emit: (fn) => {
        const [begin, end, args] = fn.params as [
          (typeof fn.params)[0],
          (typeof fn.params)[0],
          (typeof fn.params)[0],
        ];
        const from = fn.local('i32');
        const to = fn.local('i32');
        fn.get(begin).i32(copyBlock).op('i32.mul').set(from);
        fn.get(end).i32(copyBlock).op('i32.mul').tee(to);
        fn.get(args).load('i32.load', 12);
        fn.get(to).get(args).load('i32.load', 12).op('i32.lt_u').op('select').set(to);
        fn.get(args).load('i32.load', 4).get(from).op('i32.add');
        fn.get(args).load('i32.load', 0).get(from).op('i32.add');
        fn.get(to).get(from).op('i32.sub').memoryCopy();
      },
    },
  ],
  bufferCount: 2,
  scalarCount: 1,
  scalarTypes: ['u32'],
  workspaceBytes: 0,
  scratchBytes: 0,
};
