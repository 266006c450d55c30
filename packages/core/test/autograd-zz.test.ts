import { it } from 'vitest';
import * as core from '../src/index.ts';
import { interpreterBackend } from '../src/testing/index.ts';
it('repro', async () => {
  core.registerBackend(interpreterBackend());
  await core.setDefaultDevice('interpreter');
  const tryIt = async (name: string, f: () => core.Tensor[]) => {
    try { const ts = f(); await core.realize(...ts); console.log(name, 'ok'); } catch (e: any) { console.log(name, e.message.split('\n')[0]);
      if (process.env.SHOW) { core.configure({ debug: 3, log: console.log } as any); try { await core.realize(...f()); } catch {} core.configure({ debug: 0 } as any); } }
  };
  const logits = () => core.variable(core.tensor([[1, 2, 3], [0, 1, 5]]));
  const labels = core.tensor([1, 0], { dtype: 'int32' });

  const run = (pick: string) => () => { const x = core.variable(core.tensor(new Float32Array(6), {shape:[2,3]})); const b = core.variable(core.tensor([1,2,3])); const l = core.crossEntropy(core.add(x, b), labels); l.backward(); const all: any = { l, x: x.grad!, b: b.grad! }; return [...pick].map((c) => all[c]); };
  for (const p of ['lb']) await tryIt('add ' + p, run(p));
});
