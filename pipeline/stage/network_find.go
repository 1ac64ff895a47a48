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
	f := finder{network: &network{names: names, found: newClocks(false)}, pair: pair, asked: map[[2]int]bool{}}
	n := f.network
	if err := f.reach(); err != nil {
		return n, AlignSummary{}, err
	}
	for _, brief := range []bool{true, false} {
		for i := range names {
			for k := i + 1; k < len(names); k++ {
				if brief && f.asked[[2]int{i, k}] || !brief && f.connected(i, k) {
					continue
				}
				if _, err := f.ask(i, k, brief); err != nil {
					return n, AlignSummary{}, err
				}
			}
		}
	}
	slices.SortFunc(n.pairs, func(p, q *networkPair) int { return cmp.Or(cmp.Compare(p.a, q.a), cmp.Compare(p.b, q.b)) })
	if err := n.solve(); err != nil {
		return n, AlignSummary{}, err
	}
	s, err := n.conclude()
	return n, s, err
}

// finder asks channels, two by two.
type finder struct {
	*network
	pair  func(i, k int, how Look) (*networkPair, error)
	asked map[[2]int]bool
}

func (f *finder) connected(i, k int) bool {
	_, connected, _ := f.found.between(f.names[i], f.names[k])
	return connected
}

// ask keeps what two channels say. Where others lead from one to the other they are looked at
// near there only.
func (f *finder) ask(i, k int, brief bool) (found bool, err error) {
	how := Look{Brief: brief}
	if known, connected, _ := f.found.between(f.names[i], f.names[k]); connected {
		how.Known = &known
	}
	p, err := f.pair(i, k, how)
	if err != nil {
		return false, err
	}
	p.a, p.b, f.asked[[2]int{i, k}] = i, k, true
	f.take(p)
	return !p.said.Refused, nil
}

// reach leads to each clock from that of the reference or that of the channel before it,
// whichever of both ways has led to more. So the long search of two that share no light is made
// once or twice in a star, and in a chain whose channels are named in its order; in any
// other order it is made as often as there are pairs.
func (f *finder) reach() error {
	var led [2]int
	for k := 1; k < len(f.names); k++ {
		ways := []int{0, 1} // from the reference, from the one before
		if led[1] > led[0] {
			ways = []int{1, 0}
		}
		for _, way := range ways {
			from := [2]int{0, k - 1}[way]
			if f.connected(0, k) || f.asked[[2]int{from, k}] {
				continue
			}
			found, err := f.ask(from, k, true)
			if err != nil {
				return err
			}
			if found {
				led[way]++
			}
		}
	}
	return nil
}
