/**
 * Packing: copies a block of a strided matrix into the order in which the micro-kernel reads it.
 *
 * - `emitPackColumns`: (k, n) -> a panel (k, 4 * vectors). Chosen by stride: `copy` where columns are neighbours,
 *   `transpose` where the k are neighbours (blocks of 4 x 4), `gather` otherwise (broadcasts too).
 * - `emitPackRows`: (m, k) -> panels (m / rows, k, rows), the last one spaced as the others. `copy` where rows are neighbours, `gather` otherwise. Where the
 *   k are neighbours no packing is needed: the micro-kernel reads rows in place.
 *
 * Lanes behind the last column are filled with something, never read back. Panels are followed by up to 64 bytes of slack.
 */
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { advance, signatureOf } from './emit.ts';

/** Bytes that packing may write behind the end of what it packs. */
export const packSlack = 256;

const emitCountdown = (fn: FunctionBuilder, count: Local, step: number, body: () => void): void => {
  fn.get(count).i32(0).op('i32.gt_s').if();
  const again = fn.loop();
  body();
  fn.get(count).i32(step).op('i32.sub').tee(count).i32(0).op('i32.gt_s').brIf(again);
  fn.end().end();
};

/** A function (source, target, k) that packs one panel of columns. Strides in bytes. Returns its index. */
export function emitPackColumns(
  module: ModuleBuilder,
  spec: { readonly row: number; readonly column: number; readonly columns: number },
): number {
  const vectors = Math.ceil(spec.columns / 4);
  return module.helper(`pack columns ${JSON.stringify(spec)}`, signatureOf(3), (fn) => {
    const [source, target, k] = fn.params as readonly [Local, Local, Local];
    if (spec.column === 4) {
      emitCountdown(fn, k, 1, () => {
        for (let j = 0; j < vectors; j++) {
          fn.get(target)
            .get(source)
            .load('v128.load', j * 16, 4)
            .store('v128.store', j * 16);
        }
        advance(fn, source, spec.row);
        advance(fn, target, vectors * 16);
      });
    } else if (spec.row === 4) emitTransposed(fn, source, target, k, spec.column, spec.columns);
    else {
      const vector = fn.local('v128');
      emitCountdown(fn, k, 1, () => {
        for (let j = 0; j < vectors; j++) {
          fn.get(source)
            .load('v128.load32_splat', j * 4 * spec.column)
            .set(vector);
          for (let lane = 1; lane < 4 && j * 4 + lane < spec.columns; lane++) {
            fn.get(source).get(vector);
            fn.loadLane('v128.load32_lane', lane, (j * 4 + lane) * spec.column).set(vector);
          }
          fn.get(target)
            .get(vector)
            .store('v128.store', j * 16);
        }
        advance(fn, source, spec.row);
        advance(fn, target, vectors * 16);
      });
    }
  });
}

/** Four k of four columns at a time. Columns that do not exist repeat the last one, so that nothing strange is read. */
function emitTransposed(
  fn: FunctionBuilder,
  source: Local,
  target: Local,
  k: Local,
  column: number,
  columns: number,
): void {
  const vectors = Math.ceil(columns / 4);
  emitCountdown(fn, k, 4, () => {
    for (let j = 0; j < vectors; j++) {
      const rows = [0, 1, 2, 3].map((lane) => {
        const row = fn.local('v128');
        const at = Math.min(j * 4 + lane, columns - 1) * column;
        fn.get(source).load('v128.load', at, 4).set(row);
        return row;
      });
      for (const [i, out] of emitTranspose4(fn, rows).entries()) {
        fn.get(target)
          .get(out)
          .store('v128.store', (i * vectors + j) * 16);
      }
    }
    advance(fn, source, 16);
    advance(fn, target, vectors * 64);
  });
}

/** The transpose of four vectors, in new locals. */
export function emitTranspose4(fn: FunctionBuilder, rows: readonly Local[]): readonly Local[] {
  const [a, b, c, d] = rows as readonly [Local, Local, Local, Local];
  const pair = (x: Local, y: Local, high: boolean): Local => {
    const out = fn.local('v128');
    fn.get(x).get(y);
    if (high) fn.shuffle32(2, 6, 3, 7);
    else fn.shuffle32(0, 4, 1, 5);
    fn.set(out);
    return out;
  };
  const ab = [pair(a, b, false), pair(a, b, true)];
  const cd = [pair(c, d, false), pair(c, d, true)];
  return [0, 1, 2, 3].map((i) => {
    const out = fn.local('v128');
    fn.get(ab[i >> 1]!).get(cd[i >> 1]!);
    if (i % 2 === 0) fn.shuffle32(0, 1, 4, 5);
    else fn.shuffle32(2, 3, 6, 7);
    fn.set(out);
    return out;
  });
}

/** Bytes between panels of rows: a whole vector more than they hold, since the last store of a panel may run over. */
export const panelGap = 16;

/**
 * A function (source, target, k, m) that packs rows into panels of `rows`, k * rows * 4 + `panelGap` bytes apart; the
 * last may hold fewer. Strides in bytes. Where rows are neighbours, a cache line's worth of panels is written at once, so
 * that every line of the source is visited once.
 */
export function emitPackRows(
  module: ModuleBuilder,
  spec: { readonly row: number; readonly column: number; readonly rows: number; readonly edgeRows: number },
): number {
  return module.helper(`pack rows ${JSON.stringify(spec)}`, signatureOf(4), (fn) => {
    const [source, target, k, m] = fn.params as readonly [Local, Local, Local, Local];
    const [from, count, spacing] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
    fn.get(k)
      .i32(spec.rows * 4)
      .op('i32.mul')
      .i32(panelGap)
      .op('i32.add')
      .set(spacing);
    const group = spec.row === 4 ? Math.max(1, Math.floor(16 / spec.rows)) : 1;
    const targets = Array.from({ length: group }, () => fn.local('i32'));
    /** Packs `panels` panels of `rows` rows from the place reached, and moves on. */
    const pack = (panels: number, rows: number): void => {
      fn.get(source).set(from).get(k).set(count);
      for (let p = 0; p < panels; p++) {
        fn.get(target).set(targets[p]!);
        fn.get(target).get(spacing).op('i32.add').set(target);
      }
      emitCountdown(fn, count, 1, () => {
        for (let p = 0; p < panels; p++) {
          const [to, first] = [targets[p]!, p * spec.rows];
          if (spec.row === 4) {
            // Whole vectors: what runs over is overwritten by the next k.
            for (let i = 0; i < rows; i += 4) {
              fn.get(to)
                .get(from)
                .load('v128.load', (first + i) * 4, 4)
                .store('v128.store', i * 4, 4);
            }
          } else {
            for (let i = 0; i < rows; i++) {
              fn.get(to)
                .get(from)
                .load('i32.load', (first + i) * spec.row)
                .store('i32.store', i * 4);
            }
          }
          advance(fn, to, spec.rows * 4);
        }
        advance(fn, from, spec.column);
      });
      advance(fn, source, panels * spec.rows * spec.row);
    };
    const packAll = (panels: number): void => {
      const rows = panels * spec.rows;
      fn.get(m).i32(rows).op('i32.ge_s').if();
      const again = fn.loop();
      pack(panels, spec.rows);
      fn.get(m).i32(rows).op('i32.sub').tee(m).i32(rows).op('i32.ge_s').brIf(again);
      fn.end().end();
    };
    if (group > 1) packAll(group);
    packAll(1);
    if (spec.edgeRows > 0) {
      fn.get(m).if();
      pack(1, spec.edgeRows);
      fn.end();
    }
  });
}
