// Package clock compares the clock of this PC with the clock of another one, over a
// small UDP socket beside the run's other connections.
//
//	Responder (master) ◀── probe, every 50 ms ── Prober (node) ──▶ Reading
//
// A probe gives four times: T1 it left this PC, T2 it reached the other, T3 the
// answer left there, T4 the answer came here. The kernel stamps them where it can,
// which leaves out how long processes take to wake up. T3 travels with the answer
// to the next probe, because the kernel knows it only afterwards (two steps).
//
// With θ = this PC's clock - the other's, and no message faster than 0,
//
//	T1 - T2 <= θ <= T4 - T3
//
// holds for each probe, whatever the network does; the width of that interval is the
// round trip. Within it the estimate is the middle, which is right where both ways
// take equally long; nothing in the times can tell whether they do. A [Reading] says
// both: the estimate with its deviation, and the bound that holds all the same.
//
// The line through many probes follows D. Geng and others, "Exploiting a Natural
// Network Effect for Scalable, Fine-grained Clock Synchronization" (NSDI 2018): the
// straight line with the largest distance to all bounds above and below it.
package clock
