import { DdscError } from "../base/errors.js";

/** Characters of a name out of a file that a message quotes. */
const MOST_QUOTED = 120;

/** A name out of a file, cut where it is long. */
export function quoted(name: string): string {
  return name.length > MOST_QUOTED ? `${name.slice(0, MOST_QUOTED)}...` : name;
}

/** `CHECKPOINT_PICKLE` for a pickle that is damaged, or that does what none of PyTorch's does. */
export function pickleError(file: string, problem: string): DdscError {
  return new DdscError(
    "CHECKPOINT_PICKLE",
    `${file}: its pickle ${problem}; nothing of it was run: fetch the file again, or get it from whom you trust`,
    { file },
  );
}

/** `CHECKPOINT_GLOBAL` for a class or function that is not on the list. */
export function globalError(file: string, name: string): DdscError {
  return new DdscError(
    "CHECKPOINT_GLOBAL",
    `${file}: its pickle asks for ${quoted(name)}, which is not on the list of what weights need; nothing of it was run. ` +
      'If you trust who made it, write its weights alone, in Python: c = torch.load(FILE, map_location="cpu", weights_only=False); ' +
      'torch.save({"state_dict": c["state_dict"], "ema": c.get("ema")}, "weights.pt")',
    { file },
  );
}
