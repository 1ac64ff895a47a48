package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"tsrun/internal/recordings"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

// photons writes two files of half a second: 2000 photons of which both
// detectors see all, and as many more each sees alone. B's clock shows OFFSET
// more than A's at the beginning and runs fast by DRIFT; jitter is 100 ps.
// With an offset of "none" the two see nothing together.
//
//	photons A.bin B.bin OFFSET DRIFT
func photons(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: photons A.bin B.bin OFFSET DRIFT")
	}
	const length, pairs = 500_000_000_000, 2000
	drift, err := quantity.ParseDrift(args[3])
	ts.Check(err)
	together := args[2] != "none"
	var offset quantity.Time
	if together {
		offset, err = quantity.ParseTime(args[2])
		ts.Check(err)
	}
	rng := rand.New(rand.NewPCG(7, 11))
	const zero = 1_000_000_000_000 // A's clock when it began
	onA := func(t uint64) uint64 { return zero + t + uint64(int64(rng.NormFloat64()*100)) }
	onB := func(t uint64) uint64 {
		return onA(t) + uint64(offset) + uint64(int64(float64(t)*float64(drift)/1e15))
	}
	var a, b []uint64
	for range pairs {
		t := rng.Uint64N(length)
		a = append(a, onA(t), onA(rng.Uint64N(length)))
		if !together {
			t = rng.Uint64N(length)
		}
		b = append(b, onB(t), onB(rng.Uint64N(length)))
	}
	slices.Sort(a)
	slices.Sort(b)
	ts.Check(tagfile.WriteFile(ts.MkAbs(args[0]), tagfile.Bin, 1, a))
	ts.Check(tagfile.WriteFile(ts.MkAbs(args[1]), tagfile.Bin, 1, b))
}

// ticks writes a file of a hundred markers 10 ms apart, with 20 ps of jitter, by
// a clock that shows OFFSET more at the first and runs fast by DRIFT.
//
//	ticks FILE.txt OFFSET DRIFT
func ticks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: ticks FILE.txt OFFSET DRIFT")
	}
	offset, err := quantity.ParseTime(args[1])
	ts.Check(err)
	drift, err := quantity.ParseDrift(args[2])
	ts.Check(err)
	rng := rand.New(rand.NewPCG(3, uint64(offset)))
	var tags []uint64
	for i := range int64(100) {
		t := 1_000_000_000 + i*10_000_000_000
		tags = append(tags, uint64(t+int64(offset)+drift.Of(t)+int64(rng.NormFloat64()*20)))
	}
	ts.Check(tagfile.WriteFile(ts.MkAbs(args[0]), tagfile.Txt, 1, tags))
}

// TestHistogramOfRecordings runs the command on real recordings, both ways
// round, and compares every bin with what numpy counted.
func TestHistogramOfRecordings(t *testing.T) {
	for _, known := range recordings.All(t) {
		t.Run(known.Name, func(t *testing.T) {
			forward := histogramOf(t, known.Path, known.A, known.B)
			if diff := cmp.Diff(known.BMinusA, forward); diff != "" {
				t.Errorf("B minus A: %s", diff)
			}
			backward := histogramOf(t, known.Path, known.B, known.A)
			if diff := cmp.Diff(known.AMinusB, backward); diff != "" {
				t.Errorf("A minus B: %s", diff)
			}
		})
	}
}

func histogramOf(t *testing.T, path string, a, b int) []uint64 {
	t.Helper()
	var out bytes.Buffer
	i := slices.IndexFunc(countCommands(), func(c *cobra.Command) bool { return c.Name() == "histogram" })
	c := countCommands()[i]
	c.SetOut(&out)
	c.SetArgs([]string{path, "--channel", fmt.Sprintf("%d,%d", a, b), "--json",
		"--range", strconv.Itoa(recordings.Bins*recordings.BinPs) + " ps", "--bin", strconv.Itoa(recordings.BinPs) + " ps"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	var h struct {
		Start  int64    `json:"start_ps"`
		Bin    int64    `json:"bin_ps"`
		Counts []uint64 `json:"counts"`
	}
	if err := json.Unmarshal(out.Bytes(), &h); err != nil {
		t.Fatal(err)
	}
	if h.Start != -recordings.Bins*recordings.BinPs || h.Bin != recordings.BinPs || len(h.Counts) != 2*recordings.Bins {
		t.Fatalf("starts at %d, %d bins of %d ps", h.Start, len(h.Counts), h.Bin)
	}
	return h.Counts[recordings.Bins:]
}
