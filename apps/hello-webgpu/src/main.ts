import { jit, linspace, mseLoss, nn, optim, setDefaultDevice, sin } from 'tutti';

await setDefaultDevice('webgpu');

const x = linspace(-3, 3, 256).reshape([256, 1]);
const y = sin(x);
const model = new nn.Sequential(new nn.Linear(1, 32), new nn.Tanh(), new nn.Linear(32, 1));
const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });

const step = jit(() => {
  const loss = mseLoss(model.call(x), y);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return loss;
});

for (let i = 1; i <= 300; i++) {
  const loss = await step();
  if (i % 20 === 0) document.body.textContent = `step ${i}: loss ${(await loss.item()).toFixed(5)}`;
  loss.dispose();
}
