// Package recordings gives tests the real recordings whose histograms are
// known: those of the folder that TSRUN_TEST_DATA names.
package recordings

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tsrun/internal/need"
)

// BinPs and Bins describe the known histograms: they begin at 0.
const (
	BinPs = 16
	Bins  = 10_000
)

// Known is one recording and what is known of it.
type Known struct {
	Name   string
	Path   string            // of the recording
	A, B   int               // the file's channels that were compared
	Counts map[string]uint64 // tags by channel
	Length uint64            // ps, from the first tag of any channel to the last

	BMinusA, AMinusB []uint64 // counts in Bins bins of BinPs
}

// All returns every known recording; the test is skipped where there is none.
func All(t testing.TB) []Known {
	t.Helper()
	raw, err := os.ReadFile(need.Data(t, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]struct {
		File   string
		ChanA  int `json:"chan_a"`
		ChanB  int `json:"chan_b"`
		Counts map[string]uint64
		First  uint64 `json:"first_ps"`
		Last   uint64 `json:"last_ps"`
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	var all []Known
	for name, e := range expected {
		bins := readNPZ(t, need.Data(t, name+"_expected_g2.npz"))
		if len(bins["h3"]) != Bins || len(bins["h4"]) != Bins {
			t.Fatalf("%s: %d and %d bins known", name, len(bins["h3"]), len(bins["h4"]))
		}
		all = append(all, Known{Name: name, Path: need.Data(t, e.File), A: e.ChanA, B: e.ChanB, Counts: e.Counts,
			Length: e.Last - e.First, BMinusA: bins["h3"], AMinusB: bins["h4"]})
	}
	return all
}

// readNPZ reads one-dimensional arrays of integers from numpy's archive.
func readNPZ(t testing.TB, path string) map[string][]uint64 {
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
		if v, err := parseNPY(data); err == nil { // arrays of other types are not asked for
			arrays[strings.TrimSuffix(f.Name, ".npy")] = v
		}
	}
	return arrays
}

// parseNPY reads an array of format version 1.0, as numpy.lib.format describes it.
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
