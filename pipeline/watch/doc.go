// Package watch says what a bench sees while nothing of it is kept: what somebody looks
// at who turns a mirror. Nodes show the counts of their channels and, five times a second,
// all tags of a stretch; from these come rates, the pairs of two channels, heralding and
// g2 at the peak. Where two channels are of different controllers, the clock of the second
// is followed first, as align stages do it.
//
//	Offer ──▶ glimpses (bounded) ──▶ Run ──▶ event.Watched, five times a second
//	                                  └──▶ clock of each two controllers, in its own goroutine
//
// Nobody waits for it: glimpses that find no room are left out.
package watch
