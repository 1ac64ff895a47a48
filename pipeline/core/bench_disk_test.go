package core_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// plainPiece is how many bytes one write to the file beside has, and one of sink-file: its
// longest block.
const plainPiece = 1 << 20

// BenchmarkPluginToDisk times tags from a driver's process through the core to
// sink-file's process and onto the disk, durable at the end, as in a run: what the sink
// has not acknowledged is kept for another process. It writes the same bytes beside it
// the way dd does: 1 MiB a write, flushed at the end. Where there is cp, it copies that
// file in the same round, and is flushed too.
//
// no-more-than is what of-plain-file would be if no core ever waited: the time of
// the plain file over the processor time that the path takes, on all cores.
func BenchmarkPluginToDisk(b *testing.B) {
	plugins := b.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(plugins, "sink-file"), "tsrun/plugins/sink-file")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build sink-file: %v: %s", err, out)
	}
	sink := &benchSink{plugin: "sink-file", dir: plugins, resumable: true, prepare: func() { havePages(b) }}
	for b.Loop() {
		var ratios, bounds, copies, rates, cost, costPlain []float64
		for range benchRounds {
			plain, copied, usedPlain := timeFile(b)
			costPlain = append(costPlain, usedPlain)
			took, used := timeBlocks(b, benchConfig{}, sink)
			path := took.Seconds()
			cost = append(cost, used)
			ratios, copies = append(ratios, plain.Seconds()/path), append(copies, copied.Seconds()/path)
			bounds = append(bounds, plain.Seconds()*float64(runtime.NumCPU())/(used*benchGB))
			rates = append(rates, benchTags/path/1e6)
		}
		b.ReportMetric(median(cost), "CPU-s/GB")
		b.ReportMetric(median(costPlain), "CPU-s/GB-plain")
		b.ReportMetric(median(ratios), "of-plain-file")
		b.ReportMetric(median(bounds), "no-more-than")
		if c := median(copies); c > 0 {
			b.ReportMetric(c, "of-cp")
		}
		b.ReportMetric(median(rates), "Mtags/s")
		b.ReportMetric(0, "ns/op")
	}
}

// havePages has the system find the pages that a file of the benchmark takes, and lets them go again, so that whoever is measured next gets them.
// A virtual machine that gives free memory back to its host pays 8 to 12 µs for a page
// that is touched for the first time since, 2 s and more for a GB: without this the
// ratio says which of the two files got pages of that kind.
func havePages(b *testing.B) {
	b.Helper()
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	piece := make([]byte, plainPiece)
	for range benchBytes * 5 / 4 / plainPiece { // the system takes some for other things meanwhile
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
}

// timeFile returns how long the same bytes take to a file of their own, with the
// processor time for a GB of it, and how long cp takes to copy that; 0 without cp.
func timeFile(b *testing.B) (plain, copied time.Duration, used float64) {
	b.Helper()
	havePages(b)
	piece := make([]byte, plainPiece)
	dir := b.TempDir()
	defer os.RemoveAll(dir)
	before, began := processorTime(), time.Now()
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for range benchBytes / plainPiece {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	plain, used = time.Since(began), (processorTime()-before)/benchGB
	cp, err := exec.LookPath("cp")
	if err != nil {
		b.Log("cp is not there: it is not compared")
		return plain, 0, used
	}
	began = time.Now()
	to := filepath.Join(dir, "copy")
	if out, err := exec.Command(cp, f.Name(), to).CombinedOutput(); err != nil {
		b.Fatalf("cp: %v: %s", err, out)
	}
	c, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Sync(); err != nil {
		b.Fatal(err)
	}
	return plain, time.Since(began), used
}
