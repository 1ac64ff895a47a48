// Package sky is what simulated Time Controllers look at: photon pairs that
// are a pure function of a seed and of true time, so that simulators in
// different processes, on different PCs, see the same pairs without talking.
//
//	Settings ── Pairs ──▶ true times of pairs, the same for every caller
//	Settings, Controller ── NewInput ──▶ Source: what one input detects of them
//	Replay ── OpenReplay ──▶ Recording ── Input ──▶ Source: a recorded file instead
//	seed, serial ── NewWander ──▶ Wander: what noise does to the phase of a controller's clock
//
// True time is the host's CLOCK_REALTIME, held as an [Instant] because
// picoseconds since 1970 do not fit 64 bits. It is cut into cells of 1 ms.
// What happens within a cell comes from a generator keyed by the seed and the
// cell's number, and each input of each controller decides with a generator of
// its own which pairs it detects, and when. So nothing depends on the caller,
// for which interval, or how often.
//
// Times are integers everywhere. Floats serve only to draw random gaps and
// jitter within a cell, where picoseconds are far from a float's limit.
package sky
