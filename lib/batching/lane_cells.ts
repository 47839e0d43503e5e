import { mapFewAtOnce } from "../data/io/few_at_once.js";
import { type Peers, workOfAll } from "../data/open/share_out.js";
import { type CellSelection, CellSelector } from "../data/select/selection.js";
import type { CellSource } from "../data/sources/source.js";
import { LaneOrder, lanesOf } from "./lane_order.js";
import { checkPlanOptions, type PlanOptions } from "./plan.js";

/** Pieces that a rank looks at before it tells the others. */
const ROUND = 1 << 18;

/**
 * How many cells of each piece of lanes belong to a selection, [pieces]: each rank looks at those of its own lanes, so that none has to
 * read of the others' afterwards. Undefined where nothing would have to be read, or one process reads all. Throws as `CellSelector`, the
 * same on every rank.
 */
export async function countLaneCells(
  source: CellSource,
  selection: CellSelection,
  options: PlanOptions,
  peers: Peers,
): Promise<Int32Array | undefined> {
  const plan = checkPlanOptions(options);
  const { where, split } = selection;
  if (plan.lanes === 1 || peers.world === 1 || (where === undefined && split === undefined)) return undefined;
  const order = new LaneOrder(source.partBounds, plan);
  const selector = await CellSelector.create(source, selection);
  const ranges = Array.from({ length: peers.world }, (_, rank) =>
    order.piecesOf(lanesOf(plan.lanes, { rank, world: peers.world })),
  );
  const own = ranges[peers.rank] ?? { first: 0, end: 0 };
  const cells = new Int32Array(order.pieceCount);
  const most = Math.max(...ranges.map(({ first, end }) => end - first));
  for (let done = 0; done < most; done += ROUND) {
    const count = Math.max(0, Math.min(ROUND, own.end - own.first - done));
    const pieces = Array.from({ length: count }, (_, i) => own.first + done + i);
    const told = await workOfAll(peers, () =>
      mapFewAtOnce(pieces, async (piece) => (await selector.rows(order.piece(piece))).length),
    );
    for (const [rank, counts] of told.entries()) cells.set(counts, (ranges[rank]?.first ?? 0) + done);
  }
  return cells;
}
