package tagfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"tsrun/internal/need"
)

// TestRecordings reads recordings of real instruments and compares them with
// what an independent program found in them.
func TestRecordings(t *testing.T) {
	var expected map[string]struct {
		File       string
		A          int `json:"chan_a"`
		B          int `json:"chan_b"`
		Events     uint64
		Counts     map[string]uint64
		First      uint64 `json:"first_ps"`
		Last       uint64 `json:"last_ps"`
		Violations uint64 `json:"order_violations"`
		Later      int    `json:"h3_sum"` // pairs with b at most 160 ns after a
		Earlier    int    `json:"h4_sum"`
	}
	text, err := os.ReadFile(need.Data(t, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	for name, want := range expected {
		t.Run(name, func(t *testing.T) {
			path := need.Data(t, want.File)
			r, err := ReadRecording(path, "")
			if err != nil {
				t.Fatal(err)
			}
			last := uint64(0)
			for _, c := range r.Info.Channels {
				last = max(last, c.Last)
				if c.Tags != want.Counts[strconv.Itoa(c.Channel)] {
					t.Errorf("channel %d: %d tags, want %v", c.Channel, c.Tags, want.Counts)
				}
				if !slices.IsSorted(r.Channels[c.Channel]) {
					t.Errorf("channel %d is out of order", c.Channel)
				}
			}
			if len(r.Channels) != len(want.Counts) || r.Info.Tags() != want.Events ||
				r.First != want.First || last != want.Last || r.Info.Violations != want.Violations {
				t.Errorf("first %d, last %d, %+v\nwant %+v", r.First, last, r.Info, want)
			}
			a, b := r.Channels[want.A], r.Channels[want.B]
			const reach = 160_000
			if later, earlier := pairs(a, b, reach), pairs(b, a, reach); later != want.Later || earlier != want.Earlier {
				t.Errorf("%d and %d pairs, want %d and %d", later, earlier, want.Later, want.Earlier)
			}

			copied := filepath.Join(t.TempDir(), "a.bin")
			if err := WriteFile(copied, Bin, 0, a); err != nil {
				t.Fatal(err)
			}
			info, err := Scan(copied, "")
			if err != nil || info.Violations != 0 || info.Size != int64(8*len(a)) || info.Channels[0].First != a[0] {
				t.Errorf("as bin: %+v, %v", info, err)
			}
		})
	}
}

// pairs counts the pairs with b within [a, a+reach).
func pairs(a, b []uint64, reach uint64) int {
	n, from := 0, 0
	for _, t := range a {
		for from < len(b) && b[from] < t {
			from++
		}
		for i := from; i < len(b) && b[i]-t < reach; i++ {
			n++
		}
	}
	return n
}
