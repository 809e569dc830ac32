import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stackFolder, type WorkspaceSettings } from './workspace.ts';

/**
 * Stands beside the stack while its machine is made: whoever finds it knows that a run ended before it could tell.
 * The engine's own state says so only when the engine was killed, not when its connection to vCenter was cut.
 */
export class CreationNote {
  readonly #path: string;

  constructor(settings: WorkspaceSettings & { name: string }) {
    this.#path = join(stackFolder(settings, settings.name), 'creating');
  }

  async write(machinePath: string): Promise<void> {
    await writeFile(this.#path, `${machinePath}\n`);
  }

  async isThere(): Promise<boolean> {
    return stat(this.#path).then(
      () => true,
      () => false,
    );
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
