/** What every error carries beside its message. */
export interface ErrorDetails {
  /** The operation that refused, by its public name. */
  readonly op?: string | undefined;
  /** What was received: shapes, dtypes, the offending value. */
  readonly received?: unknown;
  /** One sentence: what the caller can do about it. */
  readonly fix?: string | undefined;
  readonly cause?: unknown;
}

const marker = Symbol.for('tutti.error');

/**
 * Base class of every error this library throws. `code` is stable and safe to test in a program; the message
 * is for people and may improve.
 */
export class TuttiError extends Error {
  readonly code: string;
  readonly op: string | undefined;
  readonly received: unknown;
  readonly fix: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(
      details.fix ? `${message}\n  fix: ${details.fix}` : message,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.op = details.op;
    this.received = details.received;
    this.fix = details.fix;
    Object.defineProperty(this, marker, { value: true });
  }

  /** Written out in every class, because the names of classes are a letter in a program that was minified. */
  override get name(): string {
    return 'TuttiError';
  }

  /** True for a TuttiError of any copy of this package, where `instanceof` sees only its own. */
  static isInstance(value: unknown): value is TuttiError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[marker] === true;
  }
}

/** Shapes that do not fit each other, or a shape that is not one. */
export class ShapeError extends TuttiError {
  override get name(): string {
    return 'ShapeError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_SHAPE', message, details);
  }
}

/** An axis outside `-rank .. rank-1`, or named twice. */
export class AxisError extends TuttiError {
  override get name(): string {
    return 'AxisError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_AXIS', message, details);
  }
}

/** A dtype that does not exist, or that the operation does not take. */
export class DTypeError extends TuttiError {
  override get name(): string {
    return 'DTypeError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_DTYPE', message, details);
  }
}

/** An index or a label outside its range. For an index that is data, it is thrown when a result is read. */
export class IndexError extends TuttiError {
  override get name(): string {
    return 'IndexError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_INDEX', message, details);
  }
}

/** An argument that is wrong in itself: a negative rate, a name that is not known. */
export class ArgumentError extends TuttiError {
  override get name(): string {
    return 'ArgumentError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_ARGUMENT', message, details);
  }
}

/** Tensors of different devices in one operation, or an operation that a device cannot do. */
export class DeviceError extends TuttiError {
  override get name(): string {
    return 'DeviceError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_DEVICE', message, details);
  }
}

/** A backend that was asked for and is not there. */
export class BackendUnavailableError extends TuttiError {
  override get name(): string {
    return 'BackendUnavailableError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_BACKEND_UNAVAILABLE', message, details);
  }
}

/** A tensor, a plan or a device that was used after `dispose()`. */
export class DisposedError extends TuttiError {
  override get name(): string {
    return 'DisposedError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_DISPOSED', message, details);
  }
}

/** No memory left on a device, or a buffer larger than the device can bind. */
export class OutOfMemoryError extends TuttiError {
  override get name(): string {
    return 'OutOfMemoryError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_OUT_OF_MEMORY', message, details);
  }
}

/** A gradient that does not exist: of a non-scalar without a seed, or through an operation that has none. */
export class GradientError extends TuttiError {
  override get name(): string {
    return 'GradientError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_GRADIENT', message, details);
  }
}

/** Something a traced function may not do: read a value, change device. */
export class TraceError extends TuttiError {
  override get name(): string {
    return 'TraceError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_TRACE', message, details);
  }
}

/** A kernel that failed to compile or to run. The generated source is in `received`. A defect of the library. */
export class KernelError extends TuttiError {
  override get name(): string {
    return 'KernelError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_KERNEL', message, details);
  }
}

/** A broken invariant: a defect of the library, never of its user. */
export class InternalError extends TuttiError {
  override get name(): string {
    return 'InternalError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_INTERNAL', message, {
      fix: 'this is a defect of the library; please report it',
      ...details,
    });
  }
}

/** A file or a byte stream that is not what it says it is: truncated, lying header, wrong format. */
export class FormatError extends TuttiError {
  override get name(): string {
    return 'FormatError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_FORMAT', message, details);
  }
}

/** A file that could not be read or written: missing, not permitted, no space, or no file system at all. */
export class FileError extends TuttiError {
  override get name(): string {
    return 'FileError';
  }

  constructor(message: string, details?: ErrorDetails) {
    super('TUTTI_FILE', message, details);
  }
}
