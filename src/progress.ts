/** One thing that is being done, as told by whoever does it. `step` is stable within one run. */
export interface ProgressEvent {
  step: string;
  state: 'started' | 'running' | 'done' | 'failed' | 'skipped';
  doneBytes?: number | undefined;
  totalBytes?: number | undefined;
  /** One short phrase for people: what was found, how much, why skipped. */
  detail?: string | undefined;
}

export type OnProgress = (event: ProgressEvent) => void;

/** For callers that do not want to be told. */
export const silent: OnProgress = () => {};

/** Runs `work` between a started and a done (or failed) event and hands its result through. */
export async function withProgress<Result>(
  onProgress: OnProgress,
  step: string,
  work: () => Promise<Result>,
  describe?: (result: Result) => string,
): Promise<Result> {
  onProgress({ step, state: 'started' });
  try {
    const result = await work();
    onProgress({ step, state: 'done', detail: describe?.(result) });
    return result;
  } catch (error) {
    onProgress({ step, state: 'failed', detail: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}
