package correlate_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// channelsOf are channels of tags on one clock.
func channelsOf(tags ...[]uint64) (channels []correlate.Channel) {
	for _, t := range tags {
		channels = append(channels, correlate.Channel{Tags: tag.NewReader(t)})
	}
	return channels
}

// drawChannels draws n channels, all but the first with a clock of their own,
// and returns them with their tags and with the times these stand for.
func drawChannels(t *rapid.T, n int, steps uint64) (channels []correlate.Channel, raw, fixed [][]uint64) {
	base := rapid.SampledFrom(bases).Draw(t, "base")
	for i := range n {
		tags := drawFew(t, fmt.Sprint("tags ", i), base, steps)
		c := correlate.Channel{Tags: tag.NewReader(tags)}
		if i > 0 {
			l := drawLine(t, base)
			c.Correction, c.Offset = line(t, l), rapid.Int64Range(-200, 200).Draw(t, "offset")
		}
		times := make([]uint64, len(tags))
		for k, tag := range tags {
			times[k] = c.Correction.Apply(tag) - uint64(c.Offset)
		}
		channels, raw, fixed = append(channels, c), append(raw, tags), append(fixed, times)
	}
	return channels, raw, fixed
}

func drawFew(t *rapid.T, label string, base, most uint64) []uint64 {
	steps := rapid.SliceOfN(rapid.Uint64Range(0, 40), 0, int(most)).Draw(t, label)
	tags := make([]uint64, len(steps))
	for i, d := range steps {
		base += d
		tags[i] = base
	}
	return tags
}

// tuples lists every choice of one tag of each channel, those of channel i
// moved back by shifts[i], of which no two are more than half apart.
func tuples(times [][]uint64, shifts []int64, half int64) (found [][]int) {
	var extend func(chosen []int)
	extend = func(chosen []int) {
		j := len(chosen)
		if j == len(times) {
			found = append(found, slices.Clone(chosen))
			return
		}
		for i := range times[j] {
			near := true
			for k, c := range chosen {
				d := int64(times[j][i]-times[k][c]) - shifts[j] + shifts[k]
				near = near && d <= half && -d <= half
			}
			if near {
				extend(append(chosen, i))
			}
		}
	}
	extend(nil)
	return found
}

func number(times [][]uint64, half int64, shifts ...int64) float64 {
	return float64(len(tuples(times, shifts, half)))
}

// eightShifts are the places of windows that count chance.
var eightShifts = []int64{-4, -3, -2, -1, 1, 2, 3, 4}

// eight is the mean over the eight shifts, each counted in proportion to the time
// it leaves: sums of what is counted over sums of times.
func eight(shift int64, count, time func(s int64) float64) float64 {
	counted, due := 0.0, 0.0
	for _, k := range eightShifts {
		counted, due = counted+count(k*shift), due+time(k*shift)
	}
	return counted / due
}

// span is a stretch of time, in ps beyond the first channel's first tag.
type span struct{ from, to float64 }

// spansOf are from first to last tag of each channel; nil where one has none.
func spansOf(times [][]uint64) (spans []span) {
	for _, tags := range times {
		if len(tags) == 0 || len(times[0]) == 0 {
			return nil
		}
		zero := times[0][0]
		spans = append(spans, span{float64(int64(tags[0] - zero)), float64(int64(tags[len(tags)-1] - zero))})
	}
	return spans
}

// cut leaves of one span what is at most slack outside of the time all recorded.
func cut(spans []span, of int, slack int64) []span {
	spans = slices.Clone(spans)
	from, to := math.Inf(-1), math.Inf(1)
	for _, s := range spans {
		from, to = max(from, s.from), min(to, s.to)
	}
	if len(spans) > 0 {
		spans[of] = span{max(spans[of].from, from-float64(slack)), min(spans[of].to, to+float64(slack))}
	}
	return spans
}

// timeOf is how long all channels recorded, when each is moved by its shift.
func timeOf(spans []span, shifts ...float64) float64 {
	from, to := math.Inf(-1), math.Inf(1)
	for i, s := range spans {
		from, to = max(from, s.from-shifts[i]), min(to, s.to-shifts[i])
	}
	if len(spans) == 0 {
		return 0
	}
	return max(0, to-from)
}

// timeOfPairs sums up the time over the differences in the window, by quarters of
// a picosecond beside each: between them it is a straight line.
func timeOfPairs(spans []span, shift, half int64) (sum float64) {
	for d := shift - half; d <= shift+half; d++ {
		for _, beside := range []float64{-0.25, 0.25} {
			sum += timeOf(spans, 0, float64(d)+beside) / 2
		}
	}
	return sum
}

// same says whether two numbers are about equal, or both none.
func same(got quantity.Number, want float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return !got.Known()
	}
	return math.Abs(float64(got)-want) <= 1e-9*(1+math.Abs(want))
}

func TestPairsEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels, raw, times := drawChannels(t, 2, 120)
		o := correlate.CoincidenceOptions{Window: rapid.Int64Range(1, 60).Draw(t, "window")}
		o.Shift = o.Window + rapid.Int64Range(1, 200).Draw(t, "shift")
		half := o.Window / 2
		var got, want []correlate.Tuple
		o.Each = func(p correlate.Tuple) error { got = append(got, cloned(p)); return nil }
		c, err := correlate.Coincide(channels, o)
		spans := spansOf(times)
		whole := timeOfPairs(spans, 0, half)
		time := func(s int64) float64 { return timeOfPairs(spans, s, half) / whole }
		if err != nil {
			if !strings.Contains(err.Error(), "choose a shift below") || time(o.Shift)+time(-o.Shift) > 0 {
				t.Fatal(err)
			}
			return
		}
		free, last, one := 0, -1, uint64(0)
		var edges [][2]int
		for _, p := range tuples(times, []int64{0, 0}, half) {
			i, j := p[0], p[1]
			w := correlate.Tuple{Tags: []uint64{raw[0][i], raw[1][j]}, Deltas: []int64{int64(times[1][j] - times[0][i])}, OneToOne: i != last && j >= free}
			if w.OneToOne {
				last, free, one = i, j+1, one+1
			}
			want, edges = append(want, w), append(edges, [2]int{i, j})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		accidentals := eight(o.Shift, func(s int64) float64 { return number(times, half, 0, s) }, time)
		if c.All != uint64(len(want)) || c.OneToOne != one || !same(c.Accidentals, accidentals) || !same(c.Chance, accidentals) {
			t.Fatalf("got %+v, want %d pairs, %d one to one, %g by chance", c, len(want), one, accidentals)
		}
		if most := matching(edges); c.OneToOne != uint64(most) {
			t.Fatalf("%d pairs one to one, %d are possible", c.OneToOne, most)
		}
		checkSingles(t, c, times)
	})
}

func cloned(p correlate.Tuple) correlate.Tuple {
	p.Tags, p.Deltas = slices.Clone(p.Tags), slices.Clone(p.Deltas)
	return p
}

// commonTime leaves those tags of one channel that all channels could have seen,
// within slack.
func commonTime(times [][]uint64, of int, slack int64) [][]uint64 {
	times = slices.Clone(times)
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	base := times[of]
	for _, channel := range times {
		if len(channel) == 0 || len(base) == 0 {
			times[of] = nil
			return times
		}
		from, to = max(from, int64(channel[0]-base[0])), min(to, int64(channel[len(channel)-1]-base[0]))
	}
	times[of] = slices.DeleteFunc(slices.Clone(base), func(x uint64) bool {
		at := int64(x - base[0])
		return at < from-slack || at > to+slack
	})
	return times
}

// checkSingles counts the tags between the latest first and the earliest last.
func checkSingles(t *rapid.T, c correlate.Coincidences, times [][]uint64) {
	base := uint64(0)
	for _, channel := range times {
		if len(channel) == 0 {
			if c.Overlap != 0 {
				t.Fatalf("overlap of %d ps with an empty channel", c.Overlap)
			}
			return
		}
		base = channel[0]
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	for _, channel := range times {
		from, to = max(from, int64(channel[0]-base)), min(to, int64(channel[len(channel)-1]-base))
	}
	if want := uint64(max(0, to-from)); c.Overlap != want {
		t.Fatalf("overlap %d ps, want %d", c.Overlap, want)
	}
	for i, channel := range times {
		n := uint64(0)
		for _, x := range channel {
			if at := int64(x - base); at >= from && at <= to {
				n++
			}
		}
		if c.Channels[i].Singles != n || c.Channels[i].Tags != uint64(len(channel)) {
			t.Fatalf("channel %d: %+v, want %d singles of %d tags", i, c.Channels[i], n, len(channel))
		}
	}
}

// matching is the size of the largest matching, by augmenting paths.
func matching(edges [][2]int) (n int) {
	of, left := map[int][]int{}, []int{}
	for _, e := range edges {
		if of[e[0]] == nil {
			left = append(left, e[0])
		}
		of[e[0]] = append(of[e[0]], e[1])
	}
	taken := map[int]int{}
	var try func(x int, seen map[int]bool) bool
	try = func(x int, seen map[int]bool) bool {
		for _, y := range of[x] {
			if seen[y] {
				continue
			}
			seen[y] = true
			if z, held := taken[y]; !held || try(z, seen) {
				taken[y] = x
				return true
			}
		}
		return false
	}
	for _, x := range left {
		if try(x, map[int]bool{}) {
			n++
		}
	}
	return n
}

// A channel that records a quarter of the time is as efficient in it.
func TestHeraldingOfAShortRecord(t *testing.T) {
	l := light{seconds: 0.4, events: 20_000, see: []float64{0.8, 0.8, 0.5}, noise: []float64{0, 0, 0}, jitter: 50}
	tags := l.tags(3)
	short, _ := slices.BinarySearch(tags[2], tags[0][0]+100_000_000_000)
	c, err := correlate.Coincide(channelsOf(tags[0], tags[1], tags[2][:short]), correlate.CoincidenceOptions{Window: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append(c.Heralding, c.Parts[0].Heralding...) {
		if want := map[string]float64{"A": 0.8, "B": 0.8, "C": 0.5}[h.Of]; math.Abs(h.Value-want) > 5*h.SD || h.SD > 0.03 {
			t.Errorf("%+v, want %g", h, want)
		}
	}
}

// An offset is taken off beside what the clock's line explains, to the picosecond.
func TestOffsetsAddUp(t *testing.T) {
	a := []uint64{5_000_000_000_000}
	l := correlate.Line{Reference: 4_000_000_000_000, Offset: 700, Frequency: 20_000_000_000} // 20 ppm
	b := []uint64{5_000_000_000_000 + 700 + 20_000_000 + 33}
	c := channelsOf(a, b)
	c[1].Correction, c[1].Offset = line(t, l), 33
	found, err := correlate.Coincide(c, correlate.CoincidenceOptions{Window: 1})
	if err != nil || found.All != 1 {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestCoincidencesRefuse(t *testing.T) {
	zeros := make([]uint64, 1<<19)
	var order *correlate.OrderError
	var limit *correlate.LimitError
	o := correlate.CoincidenceOptions{Window: 1000}
	if c, err := correlate.Coincide(channelsOf(zeros, zeros), o); err != nil || c.All != 1<<38 || c.OneToOne != 1<<19 {
		t.Errorf("2^38 coincidences at one time: %+v, %v", c, err)
	}
	if _, err := correlate.Coincide(channelsOf([]uint64{1}, []uint64{1}, []uint64{5, 4}), o); !errors.As(err, &order) || order.Stream != "C" {
		t.Errorf("C out of order: %v", err)
	}
	if _, err := correlate.Coincide([]correlate.Channel{{Tags: tag.NewReader(nil)}, {Tags: tag.NewReader(nil), Offset: math.MaxInt64}}, o); !errors.As(err, &limit) {
		t.Errorf("an offset of 100 days: %v", err)
	}
	enough := errors.New("enough")
	o.Each = func(correlate.Tuple) error { return enough }
	if _, err := correlate.Coincide(channelsOf([]uint64{1}, []uint64{1}), o); err != enough {
		t.Errorf("an error of who listens: %v", err)
	}
	for _, bad := range []correlate.CoincidenceOptions{{}, {Window: -5}, {Window: math.MaxInt64}, {Window: 100, Shift: 50}, {Window: 100, Shift: math.MaxInt64}} {
		if _, err := correlate.Coincide(channelsOf(zeros[:2], zeros[:2]), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	for _, n := range []int{0, 1, 9} {
		if _, err := correlate.Coincide(make([]correlate.Channel, n), correlate.CoincidenceOptions{Window: 1}); err == nil {
			t.Errorf("%d channels are accepted", n)
		}
	}
}

// The search for tuples gives up rather than go on for hours.
func TestTuplesWithoutEnd(t *testing.T) {
	zeros := make([]uint64, 1<<14)
	var limit *correlate.LimitError
	if _, err := correlate.Coincide(channelsOf(zeros, zeros, zeros), correlate.CoincidenceOptions{Window: 1000}); !errors.As(err, &limit) {
		t.Errorf("2^42 tuples: %v", err)
	}
}
