/** A context is lost in the middle of a training, which goes on in another one from the state dict that was saved. */
import {
  crossEntropy,
  jit,
  manualSeed,
  nn,
  optim,
  relu,
  setDefaultDevice,
  type Tensor,
  TuttiError,
  tensor,
} from 'tutti';

/** The context that was made last: Tutti keeps it to itself. */
let context: WebGL2RenderingContext | undefined;
const { getContext } = OffscreenCanvas.prototype;
OffscreenCanvas.prototype.getContext = function (this: OffscreenCanvas, ...args: unknown[]) {
  context = Reflect.apply(getContext, this, args);
  return context;
} as typeof getContext;

class Model extends nn.Module {
  readonly hidden: nn.Linear = new nn.Linear(2, 16);
  readonly out: nn.Linear = new nn.Linear(16, 2);
  forward(x: Tensor): Tensor {
    return this.out.call(relu(this.hidden.call(x)));
  }
}

/** The losses of so many steps on the exclusive or. */
async function train(model: Model, steps: number): Promise<number[]> {
  const x = tensor(new Float32Array([0, 0, 0, 1, 1, 0, 1, 1]), { shape: [4, 2] });
  const label = tensor([0, 1, 1, 0], { dtype: 'int32' });
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
  const step = jit((x: Tensor, label: Tensor) => {
    const loss = crossEntropy(model.call(x), label);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const loss = await step(x, label);
    losses.push(Number(await loss.item()));
    loss.dispose();
  }
  return losses;
}

async function recover() {
  manualSeed(0);
  const lost = new Model();
  const before = await train(lost, 40);
  const saved = await nn.encodeSafetensors(lost.stateDict());

  context!.getExtension('WEBGL_lose_context')!.loseContext();
  const error = await train(lost, 1).catch((caught: unknown) => caught);
  if (!TuttiError.isInstance(error)) throw error;

  await setDefaultDevice('webgl');
  const model = new Model();
  model.loadStateDict(nn.decodeSafetensors(saved));
  return { before, error: { code: error.code, fix: error.fix }, after: await train(model, 40) };
}

await setDefaultDevice('webgl');
Object.assign(globalThis, { recover });
export type Recovered = Awaited<ReturnType<typeof recover>>;
