package sky

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tsrun/sdk/quantity"
)

func genInstant(t *rapid.T) Instant {
	return Unix(rapid.Int64Range(0, 4e18).Draw(t, "ns"), rapid.Int64Range(0, 999).Draw(t, "ps"))
}

func TestInstantArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genInstant(t)
		d := rapid.Int64Range(-8e18, 8e18).Draw(t, "d")
		b := a.Add(d)
		if got := b.Sub(a); got != d {
			t.Fatalf("(a + %d) - a = %d", d, got)
		}
		if a.Before(b) != (d > 0) {
			t.Fatalf("a before a + %d: %v", d, a.Before(b))
		}
		if ns, ps := a.Unix(); Unix(ns, ps) != a || ps < 0 || ps > 999 {
			t.Fatalf("%v does not survive Unix: %d ns %d ps", a, ns, ps)
		}
	})
}

func TestInstantString(t *testing.T) {
	if got, want := Unix(1_700_000_000_123_456_789, 12).String(), "2023-11-14T22:13:20.123456789012Z"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestWaitIsBounded(t *testing.T) {
	if d := Now().Add(1e15).Wait(time.Second); d != time.Second {
		t.Errorf("long wait %v is not cut to the slice", d)
	}
	if d := Now().Add(-1).Wait(time.Second); d != 0 {
		t.Errorf("wait for the past: %v", d)
	}
	if d := Now().Add(1e9).Wait(time.Second); d <= 0 || d > time.Millisecond+time.Nanosecond {
		t.Errorf("wait for 1 ms: %v", d)
	}
}

// light returns settings of the given rates in Hz.
func light(seed uint64, pairs quantity.Frequency, jitter quantity.Time) Settings {
	return Settings{Seed: seed, Pairs: Pairs{Rate: pairs * quantity.Hertz, Jitter: jitter}}
}

func TestPairsAreTheSameHoweverTheIntervalIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := light(rapid.Uint64().Draw(t, "seed"), quantity.Frequency(rapid.IntRange(1, 200_000).Draw(t, "rate")), 0)
		from := genInstant(t)
		length := rapid.Int64Range(1, 20*CellPs).Draw(t, "length")
		cut := rapid.Int64Range(0, length).Draw(t, "cut")
		whole := s.AppendPairs(nil, from, from.Add(length))
		parts := s.AppendPairs(nil, from, from.Add(cut))
		for _, p := range s.AppendPairs(nil, from.Add(cut), from.Add(length)) {
			parts = append(parts, p+cut)
		}
		if !slices.Equal(whole, parts) {
			t.Fatalf("cut at %d: %d pairs in two parts, %d as a whole", cut, len(parts), len(whole))
		}
		if !slices.IsSorted(whole) {
			t.Fatal("pairs out of order")
		}
	})
}

func TestDetectionsAreNeitherLostNorDoubledAtBoundaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := light(rapid.Uint64().Draw(t, "seed"), 50_000, quantity.Time(rapid.Int64Range(0, 1e6).Draw(t, "jitter")))
		share := quantity.Share(rapid.Int64Range(0, int64(quantity.Whole)).Draw(t, "efficiency"))
		c := Controller{
			Efficiency: &share,
			Dark:       quantity.Frequency(rapid.Int64Range(0, 50_000).Draw(t, "dark")) * quantity.Hertz,
			DeadTime:   quantity.Time(rapid.Int64Range(0, 1e8).Draw(t, "dead time")),
		}
		start := genInstant(t)
		from := rapid.Int64Range(-2*CellPs, 0).Draw(t, "from")
		end := rapid.Int64Range(0, 10*CellPs).Draw(t, "end")
		whole := NewInput(s, c, "one", 1, start, from).Until(end, nil)
		in := NewInput(s, c, "one", 1, start, from)
		var parts []int64
		for at := from; at < end; {
			at = min(end, at+rapid.Int64Range(1, 3*CellPs).Draw(t, "step"))
			parts = in.Until(at, parts)
		}
		if !slices.Equal(whole, parts) {
			t.Fatalf("%d detections in parts, %d as a whole", len(parts), len(whole))
		}
		for i := range whole {
			if whole[i] < from || whole[i] >= end {
				t.Fatalf("detection at %d outside [%d, %d)", whole[i], from, end)
			}
			if i > 0 && whole[i]-whole[i-1] < int64(c.DeadTime) {
				t.Fatalf("detections %d and %d within the dead time %d", whole[i-1], whole[i], c.DeadTime)
			}
		}
	})
}

func TestPerfectInputDetectsEveryPairExactly(t *testing.T) {
	start := Unix(1_700_000_000_000_000_000, 0)
	s := light(7, 100_000, 0)
	got := NewInput(s, Controller{}, "perfect", 1, start, 0).Until(1e12, nil)
	if want := s.AppendPairs(nil, start, start.Add(1e12)); !slices.Equal(got, want) {
		t.Fatalf("%d detections of %d pairs", len(got), len(want))
	}
}

// poisson fails unless n is within 5 standard deviations of a Poisson mean.
func poisson(t *testing.T, what string, n int, mean float64) {
	t.Helper()
	if math.Abs(float64(n)-mean) > 5*math.Sqrt(mean) {
		t.Errorf("%s: %d events, want %.0f ± %.0f", what, n, mean, math.Sqrt(mean))
	}
}

func TestRates(t *testing.T) {
	start := Unix(1_700_000_000_000_000_000, 0)
	share := quantity.Share(600_000)
	for seed := uint64(1); seed <= 5; seed++ {
		s := light(seed, 20_000, 80)
		poisson(t, "pairs", len(s.AppendPairs(nil, start, start.Add(5e12))), 100_000)
		poisson(t, "rare pairs", len(light(seed, 2, 0).AppendPairs(nil, start, start.Add(100e12))), 200)
		c := Controller{Efficiency: &share, Dark: 2 * quantity.Kilohertz}
		poisson(t, "detections", len(NewInput(s, c, "a", 1, start, 0).Until(5e12, nil)), 70_000)
		dark := NewInput(Settings{Seed: seed}, c, "a", 1, start, 0).Until(5e12, nil)
		poisson(t, "dark counts", len(dark), 10_000)
	}
}

// TestGapsAreExponential compares the share of gaps above multiples of the
// mean with the exponential law; rates that do not divide a cell would show a
// seam at its end.
func TestGapsAreExponential(t *testing.T) {
	start := Unix(1_700_000_000_000_000_000, 0)
	times := light(3, 1234, 0).AppendPairs(nil, start, start.Add(100e12))
	const mean = 1e12 / 1234
	for _, k := range []float64{0.1, 0.5, 1, 2, 3} {
		n := 0
		for i := 1; i < len(times); i++ {
			if float64(times[i]-times[i-1]) > k*mean {
				n++
			}
		}
		poisson(t, "long gaps", n, float64(len(times))*math.Exp(-k))
	}
}

func TestInputsDetectIndependently(t *testing.T) {
	start := Unix(1_700_000_000_000_000_000, 0)
	half := quantity.Share(500_000)
	s, c := light(11, 100_000, 0), Controller{Efficiency: &half}
	first := NewInput(s, c, "alice", 1, start, 0).Until(1e12, nil)
	for _, other := range []struct {
		serial string
		input  int
	}{{"alice", 2}, {"bob", 1}} {
		second := NewInput(s, c, other.serial, other.input, start, 0).Until(1e12, nil)
		both := 0
		for _, x := range first {
			if _, found := slices.BinarySearch(second, x); found {
				both++
			}
		}
		poisson(t, "pairs seen by both", both, 25_000)
	}
}

func TestJitterIsAsAsked(t *testing.T) {
	start := Unix(1_700_000_000_000_000_000, 0)
	s := light(5, 10_000, 80)
	pairs := s.AppendPairs(nil, start.Add(-CellPs), start.Add(10e12+CellPs))
	sum, n := 0.0, 0
	for _, x := range NewInput(s, Controller{}, "a", 1, start, 0).Until(10e12, nil) {
		i, _ := slices.BinarySearch(pairs, x+CellPs)
		near := min(abs(pairs[i]-CellPs-x), abs(pairs[max(i-1, 0)]-CellPs-x))
		sum += float64(near) * float64(near)
		n++
	}
	if rms := math.Sqrt(sum / float64(n)); math.Abs(rms-80) > 1 {
		t.Errorf("jitter is %.2f ps rms, want 80", rms)
	}
}

func abs(x int64) int64 { return max(x, -x) }

func TestNormalStaysWithinReach(t *testing.T) {
	c := counter{1}
	r := rand.New(&c)
	for range 1_000_000 {
		if x := normal(r); math.Abs(x) > reachSigma {
			t.Fatalf("%v", x)
		}
	}
}

func TestCheckNamesWhatIsOutOfBounds(t *testing.T) {
	share := quantity.Whole + 1
	c := Controller{ClockOffset: MaxOffset + 1, Drift: -MaxDrift - 1, StartDelay: -1, Dark: MaxRate + 1, DeadTime: -1, Efficiency: &share,
		WhiteFM: MaxWhiteFM + 1, RandomWalkFM: -1}
	err := c.Check()
	for _, name := range []string{"clock_offset", "drift", "white_fm", "random_walk_fm", "start_delay", "dark", "dead_time", "efficiency"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
	if err := (Settings{Pairs: Pairs{Rate: -1, Jitter: MaxJitter + 1}}).Check(); err == nil || !strings.Contains(err.Error(), "pairs.rate") {
		t.Errorf("settings: %v", err)
	}
	if err := (Controller{}).Check(); err != nil {
		t.Errorf("zero controller: %v", err)
	}
}

func TestReplayKeepsTimeDifferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recorded.txt")
	if err := os.WriteFile(path, []byte("2;1000\n1;1500\n1;1500\n2;4000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rec, err := OpenReplay(Replay{File: path, Channels: map[int]int{1: 2, 3: 1}})
	if err != nil {
		t.Fatal(err)
	}
	one := rec.Input(1, 0)
	got := one.Until(3000, nil)
	got = one.Until(3001, got)
	if want := []int64{0, 3000}; !slices.Equal(got, want) {
		t.Errorf("input 1: %v, want %v", got, want)
	}
	if got, want := rec.Input(3, 0).Until(1e6, nil), []int64{500, 500}; !slices.Equal(got, want) {
		t.Errorf("input 3: %v, want %v", got, want)
	}
	if got := rec.Input(2, 0).Until(1e6, nil); len(got) != 0 {
		t.Errorf("input 2 has no channel and gave %v", got)
	}
	_, err = OpenReplay(Replay{File: path, Channels: map[int]int{1: 5}})
	if err == nil || !strings.Contains(err.Error(), "it has [1 2]") {
		t.Errorf("unknown channel: %v", err)
	}
	if _, err = OpenReplay(Replay{File: path}); err == nil {
		t.Error("a replay without channels was accepted")
	}
}

func BenchmarkInput(b *testing.B) {
	in := NewInput(light(1, 5_000_000, 80), Controller{DeadTime: 100}, "bench", 1, Now(), 0)
	var buf []int64
	total, limit := 0, int64(0)
	for b.Loop() {
		limit += 10 * CellPs
		buf = in.Until(limit, buf[:0])
		total += len(buf)
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds()/1e6, "Mtags/s")
}

// Controllers share the pairs of the sources that both see, and of no others.
func TestSources(t *testing.T) {
	light := Settings{Seed: 5, Pairs: Pairs{Rate: 50 * quantity.Kilohertz}}
	start := Unix(1_790_000_000_000_000_000, 0)
	detected := func(sees ...string) map[int64]bool {
		all := map[int64]bool{}
		for _, at := range NewInput(light, Controller{Sees: sees}, "s", 1, start, 0).Until(1e11, nil) { // 0.1 s
			all[at] = true
		}
		return all
	}
	shared := func(a, b map[int64]bool) (n int) {
		for at := range a {
			if b[at] {
				n++
			}
		}
		return n
	}
	ab, bc, both := detected("ab"), detected("bc"), detected("bc", "ab", "ab")
	if len(ab) < 4500 || shared(ab, both) != len(ab) || shared(bc, both) != len(bc) || len(both) != len(ab)+len(bc)-shared(ab, bc) {
		t.Errorf("%d of ab, %d of bc, %d of both", len(ab), len(bc), len(both))
	}
	if n := shared(ab, bc) + shared(ab, detected()); n > 5 {
		t.Errorf("%d are shared by chance", n)
	}
}
