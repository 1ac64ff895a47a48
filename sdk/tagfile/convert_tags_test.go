package tagfile

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/sdk/tag"
)

func TestConvertTags(t *testing.T) {
	late := []uint64{0, 5, 1 << 53, 1<<63 + 7}
	for _, c := range []struct {
		name string
		tags []uint64
		o    ConvertOptions
		want []uint64
		fail bool
	}{
		{"all.tags", late, ConvertOptions{}, late, false},
		{"zero.tags", []uint64{0, 10}, ConvertOptions{First: new(int64(0)), Last: new(int64(0))}, []uint64{0}, false},
		{"early.tags", []uint64{0, 10}, ConvertOptions{Last: new(int64(-1))}, nil, false},
		{"none.tags", nil, ConvertOptions{}, nil, false},
		{"part.tags", late, ConvertOptions{First: new(int64(5)), Last: new(int64(1 << 53))}, late[1:3], false},
		{"down.tags", []uint64{10, 20}, ConvertOptions{Shift: -10}, []uint64{0, 10}, false},
		{"below.tags", []uint64{10, 20}, ConvertOptions{Shift: -15}, nil, true},
		{"up.tags", []uint64{1, math.MaxUint64}, ConvertOptions{Shift: 1}, nil, true},
		{"late.tags", []uint64{1, math.MaxUint64}, ConvertOptions{Shift: -1}, nil, true},
		{"nothing.tags", late, ConvertOptions{First: new(int64(10)), Last: new(int64(5))}, nil, true},
		{"what", late, ConvertOptions{}, nil, true},
	} {
		out := filepath.Join(t.TempDir(), c.name)
		r, err := ConvertTags(t.Context(), tag.NewReader(c.tags), "alice.signal", out, c.o)
		if (err != nil) != c.fail {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		got, err := ReadAll(out, "", OnlyChannel)
		if err != nil || !slices.Equal(got, c.want) || r.Written.Tags() != uint64(len(c.want)) {
			t.Errorf("%s: got %v, want %v (%v); report %+v", c.name, got, c.want, err, r.Written)
		}
	}
}
