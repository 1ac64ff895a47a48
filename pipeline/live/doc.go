// Package live sends the tags of a run to whoever listens on this PC while the run goes
// on: those of all nodes in order of time, each on the clock of one controller.
//
//	proven segments, clocks that were followed ──▶ Stream ──▶ windows ──▶ Publisher ──▶ subscribers
//	                                      (inbox, bounded)  window.go   (queues, bounded)
//
// Nobody waits for it: what it is offered beyond its bounds it counts and leaves out, and so
// does it with what a subscriber does not take. A window is one segment of each channel; it is
// sent once all are here and their clocks were followed to its end. Before a clock is known the
// tags of all wait, as files.
package live
