import {
  ArgumentError,
  type Backend,
  type BackendFactory,
  BackendUnavailableError,
  type DeviceInfo,
  type ProbeResult,
} from '@tutti/core/backend';
import { checkOptions, type OptionNames, refusedOption } from '@tutti/core/interop';
import { WebglBackend } from './backend.ts';
import { compileKernel } from './kernels/index.ts';
import { routine } from './routines/index.ts';
import { GlContext, loseContext } from './runtime/context.ts';
import { describeContext } from './runtime/description.ts';
import type { Ownership } from './runtime/failures.ts';
import { type Absent, type ContextCanvas, findContext, isAbsent, unusable } from './runtime/find.ts';

export interface WebglOptions {
  /** The canvas whose context to compute with; nothing is drawn to it. Default: one that is in no page. */
  readonly canvas?: ContextCanvas;
  /**
   * A context to compute with. It stays yours: `dispose()` gives back what was allocated, and leaves the context alone. Its state
   * (program, framebuffer, textures, viewport, scissor, masks, pixel storage and the like) is not what it was after tensors were computed.
   * It stands alone: a canvas or a preference beside it is refused.
   */
  readonly context?: WebGL2RenderingContext;
  /** Which GPU, where there are several. Default: the browser's choice. */
  readonly powerPreference?: WebGLPowerPreference;
}

const op = 'createWebglBackend';
const optionNames: OptionNames<WebglOptions> = { canvas: true, context: true, powerPreference: true };

/**
 * Makes a factory with settings of its own. Register it before the device is opened for the first time: a name is not taken
 * over while a device of it is open.
 *
 * @throws ArgumentError for options that do not exist or are not what they should be.
 */
export function createWebglBackend(options: WebglOptions = {}): BackendFactory {
  checkOptions(op, options, optionNames);
  checkValues(options);
  return {
    name: 'webgl',
    priority: 20,
    async probe(): Promise<ProbeResult> {
      const found = describe(options);
      if (isAbsent(found)) return { available: false, ...found };
      return { available: true, devices: [found] };
    },
    async open(index: number): Promise<Backend> {
      if (index !== 0) {
        throw new BackendUnavailableError(`there is no device webgl:${index}`, {
          fix: "use 'webgl' or 'webgl:0'",
        });
      }
      const gl = contextOf(options);
      if (isAbsent(gl)) throw new BackendUnavailableError(gl.reason, { fix: gl.fix });
      return new WebglBackend(new GlContext(gl, ownershipOf(options)), { compileKernel, routine });
    },
  };
}

/** WebGL 2 as a backend, with the settings of the environment. */
export const webgl: BackendFactory = createWebglBackend();

const ownershipOf = ({ canvas, context }: WebglOptions): Ownership =>
  context ? 'borrowed' : canvas ? 'canvas' : 'own';

function checkValues({ canvas, context, powerPreference }: WebglOptions): void {
  if (canvas !== undefined && typeof (canvas as OffscreenCanvas | null)?.getContext !== 'function') {
    throw refused('canvas', canvas, 'pass a canvas of the page or an OffscreenCanvas, or leave it out');
  }
  const isContext = Object.prototype.toString.call(context) === '[object WebGL2RenderingContext]';
  if (context !== undefined && !isContext) {
    throw refused('context', context, "pass what canvas.getContext('webgl2') gives, unless that is null");
  }
  const beside = Object.entries({ canvas, powerPreference }).find(([, value]) => value !== undefined);
  if (context !== undefined && beside) {
    const [name, value] = beside;
    const fix = 'pass one of them: a context has its canvas, and was made on its GPU';
    throw new ArgumentError(`${op}: ${name} is of no use beside a context`, { op, received: value, fix });
  }
  if (![undefined, 'default', 'high-performance', 'low-power'].includes(powerPreference)) {
    throw refused('powerPreference', powerPreference, "pass 'high-performance' or 'low-power'");
  }
}

const refused = (name: string, value: unknown, fix: string): ArgumentError =>
  refusedOption(op, name, value, fix);

function contextOf({ canvas, context, powerPreference }: WebglOptions): WebGL2RenderingContext | Absent {
  return context ? (unusable(context) ?? context) : findContext(canvas, powerPreference);
}

function describe(options: WebglOptions): DeviceInfo | Absent {
  const gl = contextOf(options);
  if (isAbsent(gl)) return gl;
  const { info } = describeContext(gl);
  if (ownershipOf(options) === 'own') loseContext(gl);
  return info;
}
