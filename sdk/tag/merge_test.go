package tag

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type merged struct {
	t      uint64
	source int
}

func mergeAll(m *Merger) ([]merged, error) {
	var all []merged
	buf := make([]uint64, 4)
	for {
		n, source, err := m.Next(buf)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		for _, t := range buf[:n] {
			all = append(all, merged{t, source})
		}
	}
}

// stutter gives the tags of a reader in pieces of n, so that sources run dry at
// different moments.
type stutter struct {
	Reader
	n int
}

func (s stutter) Next(buf []uint64) (int, error) { return s.Reader.Next(buf[:min(s.n, len(buf))]) }

func TestMergeIsAStableSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []merged
		var readers []Reader
		for source := range rapid.IntRange(0, 6).Draw(t, "sources") {
			tags := rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Uint64()), 0, 30).Draw(t, "tags")
			slices.Sort(tags)
			for _, tag := range tags {
				want = append(want, merged{tag, source})
			}
			readers = append(readers, stutter{NewReader(tags), rapid.IntRange(1, 9).Draw(t, "piece")})
		}
		slices.SortStableFunc(want, func(a, b merged) int { return cmp.Compare(a.t, b.t) })
		m := Merge(readers...)
		got, err := mergeAll(m)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, %v\nwant %v", got, err, want)
		}
		if _, _, err := m.Next(make([]uint64, 1)); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}

type broken struct{ Reader }

var errBroken = errors.New("the cable broke")

func (b broken) Next(buf []uint64) (int, error) {
	n, err := b.Reader.Next(buf)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func TestMergePassesErrorsOn(t *testing.T) {
	got, err := mergeAll(Merge(NewReader([]uint64{1, 9}), broken{NewReader([]uint64{2, 3})}))
	if err != errBroken || !slices.Equal(got, []merged{{1, 0}, {2, 1}, {3, 1}}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := mergeAll(Merge(broken{NewReader(nil)}, NewReader([]uint64{1}))); err != errBroken {
		t.Error(err)
	}
	if got, err := mergeAll(Merge()); err != nil || got != nil {
		t.Error(got, err)
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, k := range []int{2, 8} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			sources := make([][]uint64, k)
			const n = 1 << 17
			for i := range sources {
				x := uint64(i + 1)
				t := uint64(0)
				for range n {
					x ^= x << 13
					x ^= x >> 7
					x ^= x << 17
					t += x % 2_000_000
					sources[i] = append(sources[i], t)
				}
			}
			buf := make([]uint64, mergeBuffer)
			for b.Loop() {
				var readers []Reader
				for _, s := range sources {
					readers = append(readers, NewReader(s))
				}
				m := Merge(readers...)
				for {
					if _, _, err := m.Next(buf); err != nil {
						break
					}
				}
			}
			b.ReportMetric(float64(b.N*k*n)/b.Elapsed().Seconds()/1e6, "Mtags/s")
		})
	}
}
