import { applyRedo, copyBlock, readCommitted, type Block } from './blocks.ts';
import { recordsOnPath, type Simulation } from './simulation.ts';

/** Datafiles as they are found on disk, with the position in their headers. */
export interface FoundFiles {
  blocks: Block[];
  header: number;
}

/** In backup mode the headers are frozen at its begin, however far the control file has come (R8). */
export function findFiles(sim: Simulation): FoundFiles {
  const frozen = sim.running?.record.kind === 'hot' ? sim.running.record.start : sim.checkpoint;
  return { blocks: sim.disk.map(copyBlock), header: frozen };
}

/** What the server says at start-up: the headers are older than the control file's checkpoint. */
export function demandsRecovery(sim: Simulation, files: FoundFiles): boolean {
  return files.header < sim.checkpoint;
}

/** ALTER DATABASE END BACKUP: the headers are set to the checkpoint of the control file, nothing is checked. */
export function endBackup(sim: Simulation, files: FoundFiles): FoundFiles {
  return { ...files, header: sim.checkpoint };
}

/** Opens by applying the redo from the header on; answers what everybody then sees, or null: corrupt. */
export function open(sim: Simulation, files: FoundFiles): number[] | null {
  const blocks = files.blocks.map(copyBlock);
  try {
    for (const redo of recordsOnPath(sim, sim.current, Infinity)) {
      if (redo.position >= files.header && redo.position > blocks[redo.block]!.position)
        applyRedo(blocks, redo);
    }
  } catch {
    return null;
  }
  return readCommitted(blocks);
}
