/** What a page may do: import the packages of several backends by name, and wait at the top level. */
import { fromImage } from '@tutti/webgl';
import { fromImage as fromImageOnWebgpu } from '@tutti/webgpu';
import { setDefaultDevice, TuttiError } from 'tutti';

const image = { data: new Uint8Array([1, 2, 3, 4]), width: 1, height: 1 };

/** What the function of the other package says. */
function refusal(): string {
  try {
    fromImageOnWebgpu(image);
    return '';
  } catch (error) {
    return TuttiError.isInstance(error) ? error.message : String(error);
  }
}

await setDefaultDevice('webgl');
document.body.textContent = `pixels ${await fromImage(image).data()}; ${refusal()}`;
