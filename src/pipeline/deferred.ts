export interface Deferred<Result> {
  promise: Promise<Result>;
  resolve: (result: Result) => void;
}

export function createDeferred<Result>(): Deferred<Result> {
  const { promise, resolve } = Promise.withResolvers<Result>();
  return { promise, resolve };
}
