/** Images and canvases that nothing can be done with, and what is said of them. */
import { type Tensor, tensor, zeros } from '@tutti/core';
import type { ImageSource } from '@tutti/core/interop';
import type { ImageFunctions } from './checks.ts';
import { pattern } from './sources.ts';

/** What an error says, as JSON can hold it. */
export interface Refusal {
  readonly code?: string;
  readonly message?: string;
  readonly fix?: string;
}

/** What an action throws. */
export async function refusal(action: () => unknown): Promise<Refusal> {
  try {
    await action();
    return {};
  } catch (error) {
    const { code, message, fix } = error as Required<Refusal>;
    return { code, message, fix };
  }
}

async function imagesOf(foreign: string): Promise<Record<string, unknown>> {
  const tainted = new Image();
  tainted.src = foreign;
  await tainted.decode();
  const closed = await createImageBitmap(pattern());
  closed.close();
  const broken = new Image();
  broken.src = 'data:image/png,no';
  await broken.decode().catch(() => {});
  const sizeless = document.createElement('canvas');
  sizeless.width = 0;
  const stained = document.createElement('canvas');
  stained.getContext('2d')!.drawImage(tainted, 0, 0);
  return {
    tainted,
    notLoaded: new Image(),
    broken,
    noFrame: document.createElement('video'),
    closed,
    sizeless,
    stained,
    brush: document.createElement('canvas').getContext('2d'),
    noImage: document.createElement('p'),
  };
}

/** @param otherContext A kind of context that this backend does not draw with. */
function canvasesOf(otherContext: string): Record<string, readonly [Tensor, HTMLCanvasElement]> {
  const canvas = (): HTMLCanvasElement => document.createElement('canvas');
  const given = canvas();
  given.transferControlToOffscreen();
  const taken = canvas();
  taken.getContext(otherContext);
  return {
    given: [tensor([[1]]), given],
    taken: [tensor([[1]]), taken],
    large: [zeros([1, 100_000]), canvas()],
  };
}

/** @param foreign The address of an image of another site. */
export async function refusals(
  { fromImage, toCanvas }: ImageFunctions,
  foreign: string,
  otherContext: string,
): Promise<Record<string, Refusal>> {
  const images = await imagesOf(foreign);
  const loading = new Image();
  loading.src = `${foreign}?later`;
  const found = { loading: await refusal(() => fromImage(loading)) } as Record<string, Refusal>;
  for (const [name, image] of Object.entries(images))
    found[name] = await refusal(() => fromImage(image as ImageSource));
  const huge = { shape: [30_000, 30_000, 4], dtype: 'float32' } as const;
  found['huge'] = await refusal(() => fromImage(pattern(), huge));
  found['swapped'] = await refusal(() =>
    toCanvas(new OffscreenCanvas(1, 1) as never, tensor([[1]]) as never),
  );
  const brush = document.createElement('canvas').getContext('2d');
  found['drawnWith'] = await refusal(() => toCanvas(tensor([[1]]), brush as never));
  for (const [name, [picture, canvas]] of Object.entries(canvasesOf(otherContext)))
    found[name] = await refusal(() => toCanvas(picture, canvas));
  return found;
}
