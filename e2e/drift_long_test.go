package e2e

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// drifting runs drift.yaml to its end and returns what it left and the truth.
func drifting(t *testing.T, code int, args ...string) (dir string, m *run.Manifest, clocks twoClocks) {
	t.Helper()
	need.Long(t)
	work := t.TempDir()
	p := start(t, work, nil, append(append([]string{shipped(t, "drift.yaml")}, args...), freePorts...)...)
	if got := p.wait(3 * time.Minute); got != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, code, p.stdout.String(), p.stderr.String())
	}
	dir, m = latest(t, work)
	checkTags(t, dir, m, "alice", "signal")
	checkTags(t, dir, m, "bob", "idler")
	return dir, m, newTwoClocks(t, truth(t, m, "alice"), truth(t, m, "bob"), 1, 1)
}

// smoothed reads the result of the align stage.
func smoothed(t *testing.T, dir string) align.Alignment {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "results", "align.json"))
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Refused   bool            `json:"refused"`
		Alignment align.Alignment `json:"alignment"`
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	if result.Refused || result.Alignment.Track == nil || len(result.Alignment.Track.Knots) < 2 {
		t.Fatalf("no clock was followed: %.300s", text)
	}
	return result.Alignment
}

// misses collects how far something is off the truth, in ps.
type misses struct {
	n        int
	squares  float64
	worst    float64
	at       uint64  // of the worst
	within   int     // 3 of their standard deviations
	farthest float64 // in standard deviations
}

func (m *misses) add(at uint64, miss, sd float64) {
	m.n++
	m.squares += miss * miss
	if math.Abs(miss) > math.Abs(m.worst) {
		m.worst, m.at = miss, at
	}
	if math.Abs(miss) <= 3*sd {
		m.within++
	}
	m.farthest = max(m.farthest, math.Abs(miss)/sd)
}

func (m *misses) log(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: %d offsets, rms error %.2f ps, worst %.2f ps at %.6f s, %d within 3 standard deviations, farthest %.1f",
		what, m.n, math.Sqrt(m.squares/float64(max(m.n, 1))), m.worst, float64(m.at)*1e-12, m.within, m.farthest)
}

// line goes straight from knot to knot of a result, in order of time, and on
// from the last ones.
type line struct {
	knots []track.Knot
	next  int
}

// offset is B minus A at a time that is not before the one asked for last.
func (l *line) offset(at uint64) quantity.Fine {
	for l.next < len(l.knots)-1 && l.knots[l.next].Time < at || l.next == 0 {
		l.next++
	}
	left, right := l.knots[l.next-1], l.knots[l.next]
	part := float64(int64(at-left.Time)) / float64(right.Time-left.Time)
	return left.Offset.Plus(right.Offset.Minus(left.Offset) * part)
}

// checkSmoothed compares the clock that the run followed with the true one, at
// its knots and all along between them; leave says where not.
func checkSmoothed(t *testing.T, found align.Alignment, clocks twoClocks, leave func(at uint64) bool) {
	t.Helper()
	const fine = 100_000_000 // ps: the clock's noise is straight over 1 ms
	var knots, between misses
	for _, k := range found.Track.Knots {
		if !leave(k.Time) {
			knots.add(k.Time, k.Offset.Minus(clocks.offset(int64(k.Time))), k.OffsetSD)
		}
	}
	l := line{knots: found.Track.Knots}
	for at := found.Start; at <= found.Start+uint64(found.Overlap); at += fine {
		if offset := l.offset(at); !leave(at) {
			between.add(at, offset.Minus(clocks.offset(int64(at))), 1)
		}
	}
	knots.log(t, "knots")
	between.log(t, "all along, against 1 ps")
	if worst := max(math.Abs(knots.worst), math.Abs(between.worst)); worst > 5 {
		t.Errorf("the offset is %.2f ps off the truth somewhere, want 5 ps at most", worst)
	}
	if 100*knots.within < 99*knots.n {
		t.Errorf("%d of %d knots are within 3 of their standard deviations", knots.within, knots.n)
	}
}

// live reads sync.jsonl.
func live(t *testing.T, dir string) (values []event.Sync) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, stage.SyncFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v event.Sync
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		values = append(values, v)
	}
	return values
}

// checkLive compares what was known while the run went on with the truth: each
// segment told where the clock was, and nearly all values are as good as they
// say; none of the few that close a segment is far off.
func checkLive(t *testing.T, dir string, clocks twoClocks, segments int) {
	t.Helper()
	var all, closing misses
	told := map[int]bool{}
	for _, v := range live(t, dir) {
		if v.Value == nil || v.State == align.Lost || v.State == align.Searching {
			continue
		}
		miss := v.Offset.Minus(clocks.offset(int64(v.Time)))
		all.add(v.Time, miss, v.OffsetSD)
		if v.Segment != nil {
			closing.add(v.Time, miss, v.OffsetSD)
			told[*v.Segment] = true
		}
	}
	all.log(t, "live")
	closing.log(t, "live, at the ends of segments")
	if len(told) != segments {
		t.Errorf("%d segments told where the clock was, want %d", len(told), segments)
	}
	if all.n == 0 || 100*all.within < 99*all.n {
		t.Errorf("%d of %d live values are within 3 of their standard deviations", all.within, all.n)
	}
	if !(closing.farthest <= 5) {
		t.Errorf("at the end of a segment the offset was %.1f standard deviations off", closing.farthest)
	}
}

// TestLongDrift runs drift.yaml as it is shipped. It keeps one core busy all
// the while, so that only a test that waits may run beside it.
func TestLongDrift(t *testing.T) {
	need.LongWhole(t)
	t.Parallel()
	dir, m, clocks := drifting(t, 0)
	if want := []run.Condition{run.Good, run.Simulated}; !slices.Equal(m.Condition, want) {
		t.Errorf("condition %v, want %v; reasons %v", m.Condition, want, m.Reasons)
	}
	found := smoothed(t, dir)
	if length := float64(found.Overlap) * 1e-12; length < 59.9 {
		t.Errorf("the clock was followed for %.3f s of 60 s", length)
	}
	checkSmoothed(t, found, clocks, func(uint64) bool { return false })
	checkLive(t, dir, clocks, 6)
}

// TestLongClockStep lets bob's clock jump in the middle of a run: the jump is
// found and placed, before and behind it the clock is as well known as ever,
// and nobody calls the run good.
func TestLongClockStep(t *testing.T) {
	t.Parallel()
	const by = 5000 // ps
	dir, m, clocks := drifting(t, 3, "--set", "acquire.duration=20 s", "--set", "acquire.segment=5 s",
		"--set", `simulate.bob.faults=["clock-step=5 ns@12 s"]`)
	jumped := uint64(clocks.a.Reading(12e12 + clocks.late).Whole)
	if want := []run.Condition{run.Tainted, run.Simulated}; !slices.Equal(m.Condition, want) {
		t.Errorf("condition %v, want %v", m.Condition, want)
	}
	if !slices.ContainsFunc(m.Reasons, func(r run.Reason) bool {
		return r.Condition == run.Tainted && strings.Contains(r.Message, "jumped") && r.AtPs != nil && apart(*r.AtPs, jumped) < 1e9
	}) {
		t.Errorf("the reasons do not tell the jump at %d ps: %+v", jumped, m.Reasons)
	}
	found := smoothed(t, dir)
	if steps := found.Track.Steps; len(steps) != 1 || apart(steps[0].Time, jumped) > 5*steps[0].TimeSD+1e8 || math.Abs(steps[0].Offset-by) > 20 {
		t.Errorf("steps %+v, want one of %d ps at %d ps", steps, by, jumped)
	}
	checkSmoothed(t, found, clocks, func(at uint64) bool { return apart(at, jumped) < 1e9 })
	checkLive(t, dir, clocks, 4)
	if !slices.ContainsFunc(live(t, dir), func(v event.Sync) bool {
		return v.Value != nil && v.Step != nil && apart(v.Step.Time, jumped) < 1e11 && math.Abs(v.Step.Offset-by) < 100
	}) {
		t.Error("the jump was not seen while the run went on")
	}
}

// apart is how far two times are from each other, in ps.
func apart(a, b uint64) float64 { return math.Abs(float64(int64(a - b))) }
