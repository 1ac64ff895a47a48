package correlate_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/need"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/tag"
)

// TestRecordings compares both halves of the histograms of real recordings
// with what numpy counted, bin for bin.
func TestRecordings(t *testing.T) {
	raw, err := os.ReadFile(need.Data(t, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]struct {
		File   string
		ChanA  int `json:"chan_a"`
		ChanB  int `json:"chan_b"`
		Counts map[string]uint64
		H3Sum  uint64    `json:"h3_sum"`
		H4Sum  uint64    `json:"h4_sum"`
		H3Max  [2]uint64 `json:"h3_first_max"`
		H4Max  [2]uint64 `json:"h4_first_max"`
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	for name, want := range expected {
		t.Run(name, func(t *testing.T) {
			path := need.Data(t, want.File)
			a, err := tag.ReadAll(path, "", want.ChanA)
			if err != nil {
				t.Fatal(err)
			}
			b, err := tag.ReadAll(path, "", want.ChanB)
			if err != nil {
				t.Fatal(err)
			}
			if uint64(len(a)) != want.Counts[strconv.Itoa(want.ChanA)] || uint64(len(b)) != want.Counts[strconv.Itoa(want.ChanB)] {
				t.Fatalf("%d and %d tags, want %v", len(a), len(b), want.Counts)
			}
			bins := readNPZ(t, need.Data(t, name+"_expected_g2.npz"))
			forward, backward := positive(t, a, b), positive(t, b, a)
			if diff := cmp.Diff(bins["h3"], forward); diff != "" {
				t.Errorf("B minus A: %s", diff)
			}
			if diff := cmp.Diff(bins["h4"], backward); diff != "" {
				t.Errorf("A minus B: %s", diff)
			}
			for _, h := range []struct {
				counts []uint64
				sum    uint64
				most   [2]uint64
			}{{forward, want.H3Sum, want.H3Max}, {backward, want.H4Sum, want.H4Max}} {
				if sum, most := total(h.counts); sum != h.sum || most != h.most {
					t.Errorf("sum %d, largest bin %v; want %d, %v", sum, most, h.sum, h.most)
				}
			}
		})
	}
}

// positive counts b - a in [0, 160 ns) in bins of 16 ps.
func positive(t *testing.T, a, b []uint64) []uint64 {
	t.Helper()
	h, err := correlate.Count(a, b, correlate.HistogramOptions{Range: 160_000, Bin: 16})
	if err != nil {
		t.Fatal(err)
	}
	return h.Counts[10_000:]
}

func total(counts []uint64) (sum uint64, most [2]uint64) {
	for k, n := range counts {
		sum += n
		if n > most[1] {
			most = [2]uint64{uint64(k), n}
		}
	}
	return sum, most
}

// readNPZ reads one-dimensional arrays of integers from numpy's archive.
func readNPZ(t *testing.T, path string) map[string][]uint64 {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	arrays := map[string][]uint64{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if v, err := parseNPY(data); err == nil {
			arrays[strings.TrimSuffix(f.Name, ".npy")] = v
		} else {
			t.Logf("%s: %v", f.Name, err)
		}
	}
	return arrays
}

func parseNPY(data []byte) ([]uint64, error) {
	if len(data) < 10 || !bytes.HasPrefix(data, []byte("\x93NUMPY\x01")) {
		return nil, fmt.Errorf("not an array of version 1")
	}
	begin := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	header := string(data[10:begin])
	width := 0
	switch {
	case strings.Contains(header, "'<i8'"), strings.Contains(header, "'<u8'"):
		width = 8
	case strings.Contains(header, "'<i4'"), strings.Contains(header, "'<u4'"):
		width = 4
	default:
		return nil, fmt.Errorf("unread type in %s", header)
	}
	var v []uint64
	for rest := data[begin:]; len(rest) >= width; rest = rest[width:] {
		if width == 8 {
			v = append(v, binary.LittleEndian.Uint64(rest))
		} else {
			v = append(v, uint64(binary.LittleEndian.Uint32(rest)))
		}
	}
	return v, nil
}
