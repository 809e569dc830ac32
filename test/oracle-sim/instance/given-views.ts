import type { Given } from '../sql/fixtures.ts';

/** Rows that a test gives for views, by the view's name; a function is asked at every query. */
export type GivenViews = Record<string, Iterable<Given> | (() => Iterable<Given>)>;
