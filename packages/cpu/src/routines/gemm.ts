/**
 * Blocked matrix products: out (batch, m, n) = lhs (batch, m, k) x rhs (batch, k, n), any strides.
 *
 * A unit is a block of the result. It runs over k in blocks; for each, rows of lhs stay in the second-level cache, and
 * panels of rhs, a few columns wide, go through the first-level cache one after another (the order of BLIS, with the
 * packing of a panel right before its use). Rows whose k are neighbours are read in place, since the micro-kernel copies
 * single floats to all lanes anyway; rhs is read in place where it is small or hardly reused, else packed.
 *
 * Variants:
 * - one stage, sums in the result (or in scratch where the result is narrower than four bytes);
 * - split k, where the result alone gives too few units and k is long: partial results of a fixed number of chunks go
 *   to the workspace, and a second stage adds them in order. The number never depends on the threads.
 */
import { ceilDiv, product, roundUp } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import { emitSumChunks } from './chunks.ts';
import { assemble, finishCost, flatScratch, flatStage, sumsFitResult, workspaceSlot } from './finish.ts';
import { type GemmPlan, type Product, planGemm } from './gemm-plan.ts';
import { BlockStage } from './gemm-stage.ts';
import { packSlack, panelGap } from './pack.ts';

export function gemmProgram(anchor: Product): WasmProgram {
  const plan = planGemm(anchor);
  const { m, n } = anchor;
  const batch = product(anchor.batch);
  const elements = batch * m * n;
  const split = plan.chunks > 1;
  const units = plan.chunks * batch * ceilDiv(m, plan.rows) * ceilDiv(n, plan.columns);
  const width = plan.tile.vectors * 4;
  const sumsBytes =
    split || sumsFitResult(anchor) ? 0 : plan.rows * roundUp(plan.columns, width) * 4 + packSlack;
  const rowsBytes = plan.packRows
    ? roundUp(plan.rows * plan.k * 4 + ceilDiv(plan.rows, plan.tile.rows) * panelGap + packSlack, 64)
    : 0;
  const columnsBytes = plan.packColumns ? roundUp((plan.k + 4) * width * 4 + packSlack, 64) : 0;
  const packTime = (plan.packColumns ? ceilDiv(m, plan.rows) * anchor.k * n * 0.3 : 0) * batch;
  const block: Stage = {
    units,
    grain: 1,
    cost: (plan.time + packTime + (split ? 0 : elements * finishCost(anchor))) / units,
    emit: (fn, module) => new BlockStage(fn, module, anchor, plan, { rowsBytes, columnsBytes }).emit(),
  };
  if (!split) {
    return assemble(
      anchor,
      [block],
      { scratch: rowsBytes + columnsBytes + sumsBytes, workspace: 0 },
      describe(plan),
    );
  }
  const reduce = flatStage(anchor, elements, plan.chunks * 0.15, (fn, { args, target, first, count }) => {
    emitSumChunks(fn, {
      args,
      target,
      first,
      count,
      slot: workspaceSlot(anchor),
      chunks: plan.chunks,
      elements,
    });
  });
  return assemble(
    anchor,
    [block, reduce],
    {
      scratch: Math.max(rowsBytes + columnsBytes, flatScratch),
      workspace: plan.chunks * elements * 4 + 64,
    },
    describe(plan),
  );
}

const describe = (plan: GemmPlan): string =>
  `tile ${plan.tile.rows}x${plan.tile.vectors * 4}, blocks ${plan.rows}x${plan.columns}x${plan.k}, ` +
  `${plan.chunks} chunks of k${plan.packRows ? ', lhs packed' : ''}${plan.packColumns ? ', rhs packed' : ''}`;
