package correlate_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// BenchmarkBeside counts what loops in Python count that numba compiles, or numpy:
// the same tags, round by round and in turn, and with the same results. of-numba is
// the peer's time over ours. Where other programs want the same cores, that of the
// processor's time says more.
func BenchmarkBeside(b *testing.B) {
	const n = 4_000_000
	p := startPeer(b, poissonTags(n, 1), poissonTags(n, 2))
	for _, work := range []string{"coincidences", "rates", "sparse", "dense"} {
		for _, where := range []string{"memory", "files"} {
			for cores := 1; cores <= min(2, runtime.NumCPU()); cores++ {
				b.Run(fmt.Sprintf("numba/%s/%s/cores=%d", work, where, cores), func(b *testing.B) { p.compare(b, work, "numba", where, cores) })
			}
		}
	}
	for _, work := range []string{"coincidences", "rates"} {
		b.Run("numpy/"+work+"/files", func(b *testing.B) { p.compare(b, work, "numpy", "files", 1) })
	}
}

// peer is a process of Python that counts the same tags.
type peer struct {
	paths []string // of the tags
	tags  [2][]uint64
	ask   io.Writer
	says  *bufio.Reader
}

func startPeer(b *testing.B, x, y []uint64) *peer {
	python := need.Python(b, "numba, numpy", "python3-numba python3-numpy")
	p := &peer{tags: [2][]uint64{x, y}}
	for i, tags := range p.tags {
		path := filepath.Join(b.TempDir(), fmt.Sprint(i, ".bin"))
		if err := tagfile.WriteFile(path, tagfile.Bin, 1, tags); err != nil {
			b.Fatal(err)
		}
		p.paths = append(p.paths, path)
	}
	cmd := exec.Command(python, append([]string{"testdata/peers.py"}, p.paths...)...)
	var wrong strings.Builder
	cmd.Stderr = &wrong
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("%v: %s", err, wrong.String())
		}
	})
	p.ask, p.says = in, bufio.NewReader(out)
	if line, err := p.says.ReadString('\n'); line != "ready\n" {
		b.Fatalf("the peer says %q, %v: %s", line, err, wrong.String())
	}
	return p
}

// spent is what some work took.
type spent struct{ wall, cpu float64 }

// count has the peer count.
func (p *peer) count(b *testing.B, work, by, where string, cores int) (took spent, result int64) {
	fmt.Fprintln(p.ask, work, by, where, cores)
	line, err := p.says.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &took.wall, &took.cpu, &result)
	}
	if err != nil {
		b.Fatalf("the peer says %q: %v", line, err)
	}
	return took, result
}

// compare lets both count by turns.
func (p *peer) compare(b *testing.B, work, by, where string, cores int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	var wall, cpu, rate []float64
	for b.Loop() {
		for range 5 {
			theirs, want := p.count(b, work, by, where, cores)
			var got int64
			ours := spend(func() { got = p.countOurs(b, work, by, where) })
			if got != want {
				b.Fatalf("%d, and %s counts %d", got, by, want)
			}
			wall, cpu = append(wall, theirs.wall/ours.wall), append(cpu, theirs.cpu/ours.cpu)
			rate = append(rate, float64(len(p.tags[0])+len(p.tags[1]))/ours.wall)
		}
	}
	b.ReportMetric(median(rate)/1e6, "Mtags/s")
	b.ReportMetric(median(wall), "of-"+by)
	b.ReportMetric(median(cpu), "of-"+by+"-cpu")
	b.ReportMetric(0, "ns/op")
}

func spend(work func()) spent {
	now := func() float64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of this process it cannot fail
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	begin, used := time.Now(), now()
	work()
	return spent{time.Since(begin).Seconds(), now() - used}
}

// countOurs counts as the peer does: for a window once a tag, or all pairs where numpy
// does; the fullest bins of rates; the sum of the bins' numbers of a histogram.
func (p *peer) countOurs(b *testing.B, work, by, where string) int64 {
	var channels []correlate.Channel
	for i, tags := range p.tags {
		var stream correlate.Stream = tag.NewReader(tags)
		if where == "files" {
			r, _, err := tagfile.Open(p.paths[i], "", tagfile.OnlyChannel)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			stream = r
		}
		channels = append(channels, correlate.Channel{Tags: stream})
	}
	switch work {
	case "coincidences":
		c, err := correlate.Coincide(channels, correlate.CoincidenceOptions{Window: 1000})
		if err != nil {
			b.Fatal(err)
		}
		if by == "numpy" {
			return int64(c.All)
		}
		return int64(c.OneToOne)
	case "rates":
		r, err := correlate.CountRates(channels, 1e11)
		if err != nil {
			b.Fatal(err)
		}
		return int64(slices.Max(r.Channels[0].Counts) + slices.Max(r.Channels[1].Counts))
	}
	o := map[string]correlate.HistogramOptions{"sparse": {Range: 5_000, Bin: 10}, "dense": {Range: 10_000_000, Bin: 1_000}}[work]
	h, err := correlate.CountChannels(channels[0], channels[1], o)
	if err != nil {
		b.Fatal(err)
	}
	sum := int64(0)
	for k, n := range h.Counts {
		sum += int64(k) * int64(n)
	}
	return sum
}
