import { ClonaError } from '../../src/errors.ts';

export interface Stage {
  name: string;
  state: 'done' | 'failed';
  seconds: number;
}

export interface Stages {
  readonly list: Stage[];
  /** Runs one act of the story and tells it with its time; `describe` says in a phrase what came of it. */
  run: <Result>(
    name: string,
    work: () => Promise<Result>,
    describe?: (result: Result) => string,
  ) => Promise<Result>;
}

/** The task list of the demo: a line when an act begins, its time and outcome when it ends. */
export function openStages(tell: (line: string) => void): Stages {
  const list: Stage[] = [];
  return {
    list,
    run: async (name, work, describe) => {
      const startedAt = performance.now();
      const seconds = (): number => Math.round((performance.now() - startedAt) / 100) / 10;
      tell(`  … ${name}`);
      try {
        const result = await work();
        list.push({ name, state: 'done', seconds: seconds() });
        const said = describe?.(result);
        tell(`  ✔ ${name}  ${seconds().toFixed(1)} s${said === undefined ? '' : `  ${said}`}`);
        return result;
      } catch (error) {
        list.push({ name, state: 'failed', seconds: seconds() });
        const code = error instanceof ClonaError ? ` [${error.code}]` : '';
        tell(
          `  ✖ ${name}  ${seconds().toFixed(1)} s  ${error instanceof Error ? error.message : String(error)}${code}`,
        );
        throw error;
      }
    },
  };
}
