// Package mesh finds the clocks of several nodes from what pairs of them say of
// each other: weighted least squares over a graph, of numbers alone.
//
//	tree.go    the shortest way to each clock: whole picoseconds, which no float holds
//	solve.go   what all pairs say together, beside those ways; its covariance
//	matrix.go  the few sums that takes
//	cycles.go  ways round that must sum to nothing; pairs that contradict the others
//	shared.go  pairs that agree better than they could if each had photons of its own
//	jumps.go   whose clock stepped, when several pairs saw it
//
// Clocks are numbered from 0. All is of one moment, on the scale of the reference.
package mesh
