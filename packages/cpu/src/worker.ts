/**
 * A worker thread. Everything after its start goes through shared memory; messages bring only new modules. While it
 * works or sleeps it does not see its event loop, so it returns to it when `messages` says that one is waiting.
 */
import {
  controlWords,
  type StageFunction,
  type WorkerMessage,
  type WorkerReport,
  word,
} from './runtime/control.ts';
import { Executor, load } from './runtime/execute.ts';
import { isNode, nodeModule } from './runtime/host.ts';

type Receive = (message: WorkerMessage) => void;

const scope = globalThis as unknown as {
  postMessage(message: WorkerReport): void;
  onmessage: (event: { data: WorkerMessage }) => void;
};
const port = isNode
  ? nodeModule<typeof import('node:worker_threads')>('node:worker_threads')?.parentPort
  : undefined;
const post = (message: WorkerReport): void => (port ? port.postMessage(message) : scope.postMessage(message));

const functions: StageFunction[] = [];
let executor: Executor | undefined;
let memory: WebAssembly.Memory | undefined;
let handled = 0;

const receive: Receive = (message) => {
  if (message.kind === 'start') {
    memory = message.memory;
    executor = new Executor(message.control, message.thread, message.last, functions, () => post('finished'));
    const words = new Int32Array(message.control, 0, controlWords);
    Atomics.add(words, word.ready, 1);
  } else {
    load(functions, message, memory!);
  }
  handled++;
  executor!.work(handled);
};

if (port) port.on('message', receive);
else scope.onmessage = (event) => receive(event.data);
