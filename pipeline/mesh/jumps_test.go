package mesh_test

import (
	"slices"
	"testing"

	"tsrun/pipeline/mesh"
)

// star and chain watch from 0 to 100 s.
func watching(pairs ...[2]int) (w []mesh.Watch) {
	for _, p := range pairs {
		w = append(w, mesh.Watch{A: p[0], B: p[1], From: 0, To: 100e12})
	}
	return w
}

func seen(pair int, at, size float64) mesh.Seen {
	return mesh.Seen{Pair: pair, At: int64(at), AtSD: 1e8, Size: size, SizeSD: 10}
}

func TestBlame(t *testing.T) {
	star := watching([2]int{0, 1}, [2]int{0, 2}, [2]int{0, 3})
	full := watching([2]int{0, 1}, [2]int{0, 2}, [2]int{1, 2})
	for _, c := range []struct {
		name    string
		clocks  int
		watched []mesh.Watch
		seen    []mesh.Seen
		want    []mesh.Jump // Clock, Of, Size, Pairs
	}{
		{"nothing", 4, star, nil, nil},
		{"a leaf of a star", 4, star, []mesh.Seen{seen(1, 5e12, 5000)}, []mesh.Jump{{Clock: 2, Size: 5000, Pairs: []int{1}}}},
		{"the middle of a star", 4, star, []mesh.Seen{seen(0, 5e12, -5000), seen(1, 5.0001e12, -5010), seen(2, 4.9999e12, -4990)},
			[]mesh.Jump{{Clock: 0, Size: 4990, Pairs: []int{2, 0, 1}}}},
		{"one of two", 2, star[:1], []mesh.Seen{seen(0, 5e12, 5000)}, []mesh.Jump{{Clock: -1, Of: []int{0, 1}, Size: -5000, Pairs: []int{0}}}},
		{"a triangle", 3, full, []mesh.Seen{seen(0, 5e12, 5000), seen(2, 5e12, -5020)}, []mesh.Jump{{Clock: 1, Size: 5000, Pairs: []int{0, 2}}}},
		{"two clocks, at other times", 3, full, []mesh.Seen{seen(0, 5e12, 5000), seen(2, 5e12, -5000), seen(1, 50e12, 700), seen(2, 50e12, 700)},
			[]mesh.Jump{{Clock: 1, Size: 5000, Pairs: []int{0, 2}}, {Clock: 2, Size: 700, Pairs: []int{1, 2}}}},
		{"one that did not look then", 3, []mesh.Watch{full[0], full[1], {A: 1, B: 2, From: 0, To: 1e12}}, []mesh.Seen{seen(0, 5e12, 5000)},
			[]mesh.Jump{{Clock: 1, Size: 5000, Pairs: []int{0}}}},
		{"sizes that do not agree", 3, full, []mesh.Seen{seen(0, 5e12, 5000), seen(2, 5e12, 5000)},
			[]mesh.Jump{{Clock: -1, Of: []int{0, 1, 2}}, {Clock: -1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mesh.Blame(c.clocks, c.watched, c.seen)
			if len(got) != len(c.want) {
				t.Fatalf("%+v", got)
			}
			for i, w := range c.want {
				g := got[i]
				if g.Clock != w.Clock || w.Size != 0 && g.Size != w.Size || w.Pairs != nil && !slices.Equal(g.Pairs, w.Pairs) || w.Of != nil && !slices.Equal(g.Of, w.Of) {
					t.Errorf("jump %d: %+v, want %+v", i, g, w)
				}
			}
		})
	}
}
