/** What a program gets from `import … from 'clona'`: the pure functions, and the errors. */
export { ClonaError, errorTable, type ErrorKind, type ExitCode } from './errors.ts';
