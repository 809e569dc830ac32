import { begin, change, end, type Simulation } from '../../test/simulator/simulation.ts';

/** One committed row; `value` chooses block (value mod 4) and cell (value div 8). */
export function work(sim: Simulation, value: number): void {
  begin(sim, 0);
  change(sim, 0, value);
  end(sim, 0, true);
}
