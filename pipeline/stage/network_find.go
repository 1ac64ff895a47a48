package stage

import (
	"cmp"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// AlignSeveral finds the clocks of channels, the first of which is the reference, from what
// pair says of every two of them. Its refusals are answers, too.
func AlignSeveral(names []string, pair func(i, k int, how Look) (align.Parts, error)) (AlignSummary, error) {
	_, s, err := findClocks(names, func(i, k int, how Look) (*networkPair, error) {
		found, err := pair(i, k, how)
		said, err := NewAlignSummary(names[i], names[k], found.Alignment, err)
		return &networkPair{said: said, foundClock: foundClock{Parts: found}}, err
	})
	return s, err
}

// Look is how two channels are looked at: see [align.Options].
type Look struct {
	Brief bool
	Known *correlate.Correction
}

// Of asks an alignment to look so.
func (l Look) Of(o align.Options) align.Options {
	o.Brief, o.Known = l.Brief, l.Known
	return o
}

// findClocks is AlignSeveral of pairs with all that is known of them. What is bright is found
// first; for weak light, which takes long where there is none, only those are asked that lead
// to a clock which nothing else leads to.
func findClocks(names []string, pair func(i, k int, how Look) (*networkPair, error)) (*network, AlignSummary, error) {
	n := &network{names: names, found: newClocks(false)}
	for _, brief := range []bool{true, false} {
		for _, ends := range byDistance(len(names)) {
			i, k := ends[0], ends[1]
			known, connected, _ := n.found.between(names[i], names[k])
			how := Look{Brief: brief}
			if connected {
				how.Known = &known
			}
			if connected && !brief {
				continue
			}
			p, err := pair(i, k, how)
			if err != nil {
				return n, AlignSummary{}, err
			}
			p.a, p.b = i, k
			n.take(p)
		}
	}
	slices.SortFunc(n.pairs, func(p, q *networkPair) int { return cmp.Or(cmp.Compare(p.a, q.a), cmp.Compare(p.b, q.b)) })
	if err := n.solve(); err != nil {
		return n, AlignSummary{}, err
	}
	s, err := n.conclude()
	return n, s, err
}

// byDistance are every two of so many: each with the first, then each with the next, the one
// after the next, and so on. In a star and in a chain whose nodes are named in order the first of
// these connect all, and where clocks are known pairs are found, or known to be none, in no time.
// In any other order the searches where there is no light would grow with the square of the nodes.
func byDistance(n int) (pairs [][2]int) {
	for k := 1; k < n; k++ {
		pairs = append(pairs, [2]int{0, k})
	}
	for apart := 1; apart < n; apart++ {
		for i := 1; i+apart < n; i++ {
			pairs = append(pairs, [2]int{i, i + apart})
		}
	}
	return pairs
}
