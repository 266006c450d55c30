import { isSoftwareDriver } from '@tutti/core/backend';

/** "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device ...), SwiftShader driver), software": what draws, in the words of the browser. */
export function describeRenderer(gl: WebGL2RenderingContext): string {
  const information = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(gl.getParameter(information ? information.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  return `${renderer}${isSoftwareDriver(renderer) ? ', software' : ''}`;
}

/** Waits for all that a context was told. Asks in tasks of their own: the timers of a page are rounded up to milliseconds. */
export function passFence(gl: WebGL2RenderingContext): Promise<void> {
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)!;
  gl.flush();
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    port1.onmessage = () => {
      const status = gl.clientWaitSync(fence, 0, 0);
      if (status === gl.TIMEOUT_EXPIRED) return port2.postMessage(0);
      gl.deleteSync(fence);
      port1.close();
      if (status === gl.WAIT_FAILED) reject(new DOMException('a fence of WebGL failed', 'OperationError'));
      else resolve();
    };
    port2.postMessage(0);
  });
}
