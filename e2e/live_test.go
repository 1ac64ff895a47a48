package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// liveG2 is examples/python/live_g2.py beside a run.
type liveG2 struct {
	cmd *exec.Cmd
	out *lockedBuffer
}

func startLiveG2(t *testing.T, address, first, second string, more ...string) liveG2 {
	t.Helper()
	need.Python(t, "numpy", "python3-numpy")
	g := liveG2{exec.Command(need.Python(t, "zmq", "python3-zmq"), append([]string{"-B", "-W", "error", "../examples/python/live_g2.py", address, first, second, "20000", "50"}, more...)...), &lockedBuffer{}}
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.cmd.Process.Kill() })
	eventually(t, 60*time.Second, "it listens", func() bool { return strings.Contains(g.out.String(), "listening") })
	return g
}

// counts waits until it has ended and returns its histogram.
func (g liveG2) counts(t *testing.T) []int {
	t.Helper()
	late := time.AfterFunc(2*time.Minute, func() { g.cmd.Process.Kill() })
	defer late.Stop()
	if err := g.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%.2000s", err, g.out.String())
	}
	lines := strings.Split(strings.TrimSpace(g.out.String()), "\n")
	var last struct {
		Kind      string
		Simulated bool
		Missed    int
		Counts    []int
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Kind != "end" || !last.Simulated || last.Missed != 0 || len(lines) < 4 {
		t.Fatalf("%v, %+v of %d lines", err, last, len(lines))
	}
	return last.Counts
}

// missesTheEnd waits until it says that nothing comes any more.
func (g liveG2) missesTheEnd(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(2*time.Minute, func() { g.cmd.Process.Kill() })
	defer late.Stop()
	err := g.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("it ends with %v", err)
	}
	contains(t, g.out.String(), "nothing has come for too long")
}

// TestLiveG2 lets programs look at a run while it goes on, of which one stands still: the
// run does not notice, and each has the histogram of the run's stage in the end.
func TestLiveG2(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	address := "ipc://" + filepath.Join(work, "live")
	text, err := os.ReadFile(shipped(t, "coincidence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := write(t, filepath.Join(work, "live.yaml"), strings.NewReplacer(
		"pipeline:\n", "pipeline:\n  - {stage: histogram, config: {start: alice.signal, stop: alice.herald, range: 20 ns, bin: 50 ps}}\n",
		"sinks:\n", "sinks:\n  live: {sink: live, takes: merged, config: {address: \""+address+"\"}}\n").Replace(string(text)))
	one, two := startLiveG2(t, address, "alice.signal", "alice.herald"), startLiveG2(t, address, "alice.signal", "bob.idler")
	still := startLiveG2(t, address, "alice.signal", "alice.herald", "5")
	p := start(t, work, nil, append([]string{recipe, "--set", "acquire.duration=4 s", "--set", "acquire.segment=500 ms"}, freePorts...)...)
	eventually(t, 60*time.Second, "something is sent", func() bool { return strings.Contains(still.out.String(), `"held"`) })
	if err := still.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f := start(t, work, nil, "follow", "runs/latest", "--node", "bob", "--out", "copy")
	if code := p.wait(2 * time.Minute); code != 0 && code != 3 { // 3: this PC was held up
		t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	if m.Has(run.Tainted) && !heldUp(m) {
		t.Errorf("%+v", m.Reasons)
	}
	own := countsOf(t, filepath.Join(dir, "results", "histogram.csv"))
	if got := one.counts(t); !equalCounts(got, own) {
		t.Errorf("%v, the run has %v", got, own)
	}
	// The stage corrects by the whole record, the messages by what was known: a difference
	// changes its bin by some ps, and none comes or goes but at the edges.
	differing(t, two.counts(t), countsOf(t, filepath.Join(dir, "results", "g2.csv")))
	l := m.Live
	if len(l) != 1 || l[0].Sink != "live" || l[0].Subscribers != 3 || l[0].Withheld != 0 || l[0].Late != 0 || l[0].Tags != tagsOfRun(m) {
		t.Errorf("%+v, of %d tags", l, tagsOfRun(m))
	}
	contains(t, p.stdout.String(), "live       live sent")
	followedFiles(t, f, dir, filepath.Join(work, "copy"), m)
	if err := still.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	still.missesTheEnd(t)
}

// followedFiles compares what tsrun follow said and wrote beside a run with the files of bob.
func followedFiles(t *testing.T, f *tsrun, dir, copied string, m *run.Manifest) {
	t.Helper()
	if code := f.wait(time.Minute); code != 0 {
		t.Fatalf("follow: exit code %d\n%s%s", code, f.stdout.String(), f.stderr.String())
	}
	lines, files, tags := strings.Split(strings.TrimSpace(f.stdout.String()), "\n"), 0, uint64(0)
	for _, s := range m.Segments {
		if s.Node != "bob" || !s.HoldsTags() {
			continue
		}
		was, err := os.ReadFile(filepath.Join(dir, s.File))
		again, err2 := os.ReadFile(filepath.Join(copied, "bob", filepath.Base(s.File)))
		if err != nil || err2 != nil || !bytes.Equal(was, again) {
			t.Errorf("%s was written again otherwise: %v, %v", s.File, err, err2)
		}
		files, tags = files+1, tags+s.Tags
	}
	if files < 8 || len(lines) != files+1 || !strings.Contains(lines[files], fmt.Sprintf(`"tags":%d,"segments":%d,"ended":true`, tags, files)) {
		t.Errorf("%d lines of %d files, %d tags: %s", len(lines), files, tags, lines[len(lines)-1])
	}
	contains(t, lines[0], `"channel":"bob.idler"`, `"segment":0`, `"simulated":true`)
	var first struct{ At time.Time }
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || !first.At.Before(m.Ended) {
		t.Errorf("%v, the first file came at %v, the run ended at %v", err, first.At, m.Ended)
	}
}

// countsOf are the counts in a table of a stage.
func countsOf(t *testing.T, path string) (counts []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment, reader.FieldsPerRecord = '#', -1
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		n, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	return counts
}

func equalCounts(a, b []int) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return len(a) > 0
}

// differing compares histograms by their sums and by where their peak is, in bins.
func differing(t *testing.T, got, want []int) {
	t.Helper()
	sum := func(counts []int) (n, middle float64) {
		for k, c := range counts {
			n += float64(c)
			middle += float64(c) * float64(k)
		}
		return n, middle / n
	}
	n, middle := sum(got)
	wantN, wantMiddle := sum(want)
	if wantN < 10_000 || n < wantN-5 || n > wantN+5 || middle < wantMiddle-2 || middle > wantMiddle+2 {
		t.Errorf("%v pairs about bin %v, the run has %v about %v", n, middle, wantN, wantMiddle)
	}
}

func tagsOfRun(m *run.Manifest) (tags uint64) {
	for _, s := range m.Segments {
		tags += s.Tags
	}
	return tags
}
