package main

import "tsrun/sdk/fifteen"

// marks is what a stream has shown of the places at which a TDC1 writes dummies:
// at each mark, half a round apart, when it has written no event since the mark
// before. Maker and manual say nothing of it, so nothing is concluded before a
// dummy stood at a mark, and nothing any more when one stood elsewhere.
type marks int

const (
	marksUnseen marks = iota
	marksKept
	marksBroken
)

// firstMark is where the first dummy may stand, in ticks: the mark before it is
// passed over.
const firstMark = fifteen.ShortMark + fifteen.ShortHalf

// due takes a word, and returns the time by which there has to be another one.
// Behind a dummy that is the next mark; behind an event it is the one after,
// as there is no dummy at the next.
func (m *marks) due(at uint64, isDummy bool) uint64 {
	next := uint64(firstMark)
	if at >= firstMark {
		next = at - (at-firstMark)%fifteen.ShortHalf + fifteen.ShortHalf
	}
	switch {
	case !isDummy:
		return next + fifteen.ShortHalf
	case next-at != fifteen.ShortHalf || at < firstMark:
		*m = marksBroken
	case *m == marksUnseen:
		*m = marksKept
	}
	return next
}
