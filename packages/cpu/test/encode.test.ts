/** Commands as the threads want them. */
import type { DispatchCommand } from '@tutti/core/backend';
import { expect, it } from 'vitest';
import type { WasmProgram } from '../src/program.ts';
import { Allocator, type Block, spareBytes } from '../src/runtime/allocator.ts';
import { entry } from '../src/runtime/control.ts';
import { Encoder } from '../src/runtime/encode.ts';
import { LinearMemory } from '../src/runtime/linear-memory.ts';
import { Modules } from '../src/runtime/modules.ts';

const KiB = 1024;

/** Commands of a program that does nothing with so many bytes of workspace. */
function command(workspaceBytes: number): DispatchCommand {
  const program: WasmProgram = {
    name: 'nothing',
    source: () => 'nothing',
    stages: [{ units: 1, grain: 1, cost: 1, emit: () => {} }],
    bufferCount: 0,
    scalarCount: 0,
    scalarTypes: [],
    workspaceBytes,
    scratchBytes: 0,
  };
  return { kind: 'dispatch', program, buffers: [], scalars: [] };
}

it('a workspace that could not grow as far as it was to has the bytes that it got', () => {
  const memory = new LinearMemory(false);
  const given = new Map<number, Block>();
  class TightAllocator extends Allocator {
    override allocate(bytes: number, idle?: boolean): Block | undefined {
      const block = bytes <= 150 * KiB ? super.allocate(bytes, idle) : undefined;
      if (block) given.set(block.address, block);
      return block;
    }
  }
  const host = { grow: () => memory.size, completed: () => 0, wait: () => {} };
  const allocator = new TightAllocator(memory.size, host);
  const encoder = new Encoder(memory, allocator, new Modules(memory), 1, () => 0);
  for (const bytes of [100 * KiB, 120 * KiB, 140 * KiB, 130 * KiB]) {
    const { entries } = encoder.encode(command(bytes), 1, 0, encoder);
    const workspace = given.get(memory.words[entries[entry.args]! / 4]!)!;
    expect(workspace.size - spareBytes).toBeGreaterThanOrEqual(bytes);
  }
});
