/** What a page may do: import the backend's package by name, and wait at the top level. */
import { fromImage } from '@tutti/webgpu';
import { setDefaultDevice } from 'tutti';

await setDefaultDevice('webgpu');
const pixels = fromImage({ data: new Uint8Array([1, 2, 3, 4]), width: 1, height: 1 });
document.body.textContent = `pixels ${await pixels.data()}`;
