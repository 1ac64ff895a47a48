package tag

import (
	"io"
	"slices"
	"testing"
)

// What a Holder gives at once is what Next has left, and is gone then.
func TestRestIsWhatIsLeft(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		r := NewReader([]uint64{1, 2, 3})
		if n > 0 {
			if got, err := r.Next(make([]uint64, n)); got != n || err != nil {
				t.Fatalf("Next gives %d, %v", got, err)
			}
		}
		if rest := r.(Holder).Rest(); !slices.Equal(rest, []uint64{1, 2, 3}[n:]) {
			t.Errorf("after %d tags the rest is %v", n, rest)
		}
		if got, err := r.Next(make([]uint64, 1)); got != 0 || err != io.EOF {
			t.Errorf("after the rest Next gives %d, %v", got, err)
		}
	}
}
