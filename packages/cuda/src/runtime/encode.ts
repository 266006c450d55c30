/** Commands in the words that the addon takes, made once for each command. */
import {
  type Buffers,
  type Command,
  type CopyCommand,
  type DispatchCommand,
  freedError,
  scalarBits,
  type Workspace,
} from '@tutti/core/backend';
import { commandCode } from '../native/binding.ts';
import type { Block, CudaBuffer } from './buffer.ts';
import type { Executable } from './executable.ts';
import { putLong } from './template.ts';

export interface Encoded {
  readonly words: Uint32Array;
  readonly buffers: readonly CudaBuffer[];
  /** The scratch memory whose address is in the words; another one may have taken its place since. */
  readonly workspace: Block | undefined;
}

export class Encoder {
  readonly #workspace: Workspace<Block>;
  readonly #buffers: Buffers<Block>;
  readonly #executable: (command: DispatchCommand) => Executable;
  readonly #encoded = new WeakMap<Command, Encoded>();

  /** @param executable The program of a command, if it is one of this device. */
  constructor(
    workspace: Workspace<Block>,
    buffers: Buffers<Block>,
    executable: (command: DispatchCommand) => Executable,
  ) {
    this.#workspace = workspace;
    this.#buffers = buffers;
    this.#executable = executable;
  }

  /** @throws DisposedError when a buffer has been freed. */
  encode(command: Command): Encoded {
    const known = this.#encoded.get(command);
    if (known && (!known.workspace || known.workspace === this.#workspace.block)) {
      for (const buffer of known.buffers) if (buffer.freed) throw freedError();
      return known;
    }
    const encoded = command.kind === 'copy' ? this.#copy(command) : this.#dispatch(command);
    this.#encoded.set(command, encoded);
    return encoded;
  }

  #copy({ source, target, bytes }: CopyCommand): Encoded {
    const from = this.#buffers.within(source, 0, bytes);
    const to = this.#buffers.within(target, 0, bytes);
    const words = new Uint32Array(from !== to && bytes > 0 ? 8 : 0);
    if (words.length > 0) {
      words.set([commandCode.copy, words.length]);
      putLong(words, 2, to.block.address);
      putLong(words, 4, from.block.address);
      putLong(words, 6, bytes);
    }
    return { words, buffers: [from, to], workspace: undefined };
  }

  #dispatch(command: DispatchCommand): Encoded {
    const { cuda, template } = this.#executable(command);
    const buffers = command.buffers.map((buffer) => this.#buffers.own(buffer));
    const workspace = cuda.workspaceBytes > 0 ? this.#workspace.block : undefined;
    const words = template.fill({
      addresses: buffers.map(({ block }) => block.address),
      workspace: workspace?.address,
      scalars: scalarBits(cuda, command.scalars),
    });
    return { words, buffers, workspace };
  }
}
