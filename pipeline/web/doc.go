// Package web is the page of a run: what happens while it goes on, and what came of
// it, for browsers.
//
//	hub ── feed ──▶ board ── at most 4 times a second ──▶ view ──▶ page, stream, metrics
//	                                                        ◀── stop and keep
//
// The board is a reader of the run's events like a terminal is one: it holds nobody up,
// and knows nothing that --json does not tell. A view is what the board showed at one
// moment; all who look share it, so that many cost little more than one. The stream
// (server-sent events) begins with all there is and goes on with what has changed. The
// page is whole without scripts.
package web
