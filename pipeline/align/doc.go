// Package align finds B's clock on A's scale from the photon pairs, or the
// markers, that both recorded; or returns a [Refusal] that says why the tags do
// not tell. It searches; package track follows what was found.
//
//	Align          two channels, in memory
//	AlignParts     records of any length, in parts that take over from each other
//	AlignMany      several channels at each node, which share their clocks
//	AlignMarkers   markers that both nodes record, by their beat and their losses
//	AlignManyStreams, AlignMarkerStreams   the same of records of any length
//	Live           records that still grow
//
// A searcher holds one record of each node, and has three searches. Each is
// tried only where the one before cannot see, or has seen nothing:
//
//	coarse.go   one correlation of a segment by FFT, or a list of all differences
//	            where they are few: most records, 0.1 s
//	summed.go   correlations of neighbouring segments, added along lines: strong
//	            light, whose pairs drown in their own singles
//	weak.go     the same of slices so short that no frequency smears them, added
//	            along all lines at once (tree.go): 200 pairs/s in 100 kcps, seconds
//
// Whatever they nominate goes the same way:
//
//	hough.go      all differences near it, listed and counted along lines of offset and frequency
//	extend.go     the line, in ever longer segments
//	holes.go      track follows it; where pairs are lost, the search begins again
//	fit.go        one line through all pairs, where the clock kept to one
//	conclude.go   what is stated, and whether it is believed
//
// What could be another answer is looked for before any is given:
//
//	alone.go, census.go   other peaks, near and far
//	period.go, teeth.go   pulses of a pulsed source, also of few photons
//	grid.go               steps of the tags, which look like pulses
//	places.go             places beside the middle of the record
//
// Records are held by held.go, long ones in a file that spill_linux.go maps.
//
// Markers have their own files: beat.go their rhythm and which of A's is which of
// B's, marks.go the clock through them.
package align
