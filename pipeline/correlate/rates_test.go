package correlate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

func TestRatesEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 4).Draw(t, "channels")
		channels, _, times := drawChannels(t, n, 60)
		bin := rapid.Int64Range(1, 300).Draw(t, "bin")
		r, err := correlate.CountRates(channels, bin)
		if err != nil {
			t.Fatal(err)
		}
		if r.Start%bin != 0 || r.Bin != bin || len(r.Channels) != n {
			t.Fatalf("got %+v", r)
		}
		longest := 0
		for i, channel := range times {
			want := make([]uint64, len(r.Channels[i].Counts))
			for _, x := range channel {
				since := int64(x - r.Base)
				k := int((since - r.Start) / bin)
				if k >= len(want) || since < r.Start {
					t.Fatalf("a tag at %d ps is in no bin of %+v", x, r)
				}
				want[k]++
			}
			if diff := cmp.Diff(want, r.Channels[i].Counts); diff != "" {
				t.Fatal(diff)
			}
			for k, n := range want {
				if n > 0 {
					longest = max(longest, k+1)
					if !r.Recorded(i, k) {
						t.Fatalf("bin %d of channel %d has tags and counts as not recorded", k, i)
					}
				}
			}
		}
		if n > 0 && longest != len(r.Channels[0].Counts) {
			t.Fatalf("%d bins, of which %d are needed", len(r.Channels[0].Counts), longest)
		}
	})
}

// A silence that chance does not explain is a gap; those of chance are none.
func TestGapsAreSeen(t *testing.T) {
	l := light{seconds: 2, see: []float64{0, 0}, noise: []float64{20_000, 500}}
	for seed := range uint64(10) {
		tags := l.tags(seed)
		holed := slices.DeleteFunc(slices.Clone(tags[0]), func(x uint64) bool { return x > 1_400_000_000_000 && x < 1_450_000_000_000 })
		r, err := correlate.CountRates(channelsOf(tags[0], tags[1], holed), 10_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Channels[0].Gaps)+len(r.Channels[1].Gaps) > 0 {
			t.Errorf("seed %d: gaps of chance %+v", seed, r.Channels)
		}
		g := r.Channels[2].Gaps
		if len(g) != 1 || g[0].From > 1_400_000_000_000 || g[0].To < 1_450_000_000_000 || g[0].To-g[0].From > 52_000_000_000 {
			t.Errorf("seed %d: gaps %+v", seed, g)
		}
		for k := 41; k < 44; k++ { // records begin at 1 s
			if at := int(1_000_000_000_000/r.Bin) - int(r.Start/r.Bin); r.Channels[2].Counts[at+k] != 0 || !r.Recorded(2, at+k) {
				t.Errorf("seed %d: bin %d of the gap: %d", seed, at+k, r.Channels[2].Counts[at+k])
			}
		}
		if c := r.Channels[0]; math.Abs(float64(c.Rate)-20_000) > 5*float64(c.RateSD) || c.RateSD < 90 || c.RateSD > 110 {
			t.Errorf("seed %d: rate %g ± %g", seed, c.Rate, c.RateSD)
		}
	}
}

// A regular signal has its rate, of few tags too; and three deviations hold that of
// light in 99 %, however few tags there are.
func TestRatesOfFewTags(t *testing.T) {
	rate := func(tags []uint64) correlate.ChannelRate {
		r, err := correlate.CountRates(channelsOf(tags), 1e12)
		if err != nil {
			t.Fatal(err)
		}
		return r.Channels[0]
	}
	for n := 2; n < 6; n++ {
		var tags []uint64
		for i := range n {
			tags = append(tags, uint64(i)*5e11+7)
		}
		if r := rate(tags); r.Rate != 2 {
			t.Errorf("%d pulses, two a second: %g per s", n, r.Rate)
		}
	}
	rng := rand.New(rand.NewPCG(19, 1))
	for _, n := range []int{2, 3, 5, 10, 100} {
		const records = 1000
		outside := 0
		for range records {
			at, tags := 0.0, []uint64{}
			for range n {
				at += 1e9 * rng.ExpFloat64() // 1000 per s
				tags = append(tags, uint64(at))
			}
			if r := rate(tags); math.Abs(float64(r.Rate)-1000) > 3*float64(r.RateSD) {
				outside++
			}
		}
		if outside > records/100 {
			t.Errorf("%d tags: the rate of %d of %d records is outside of three deviations", n, outside, records)
		}
	}
}

func TestRatesRefuse(t *testing.T) {
	var limit *correlate.LimitError
	var order *correlate.OrderError
	if _, err := correlate.CountRates(channelsOf([]uint64{0, 1 << 60}), 1000); !errors.As(err, &limit) {
		t.Errorf("a million million bins: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{0}, []uint64{1 << 60}), 1000); !errors.As(err, &limit) {
		t.Errorf("as many between two channels: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{2, 1}), 1000); !errors.As(err, &order) {
		t.Errorf("out of order: %v", err)
	}
	if _, err := correlate.CountRates(channelsOf([]uint64{1}), 0); err == nil {
		t.Error("bins of nothing are accepted")
	}
	if r, err := correlate.CountRates(channelsOf(nil, nil), 1000); err != nil || len(r.Channels) != 2 || len(r.Channels[0].Counts) != 0 || r.Channels[0].Rate.Known() {
		t.Errorf("no tags: %+v, %v", r, err)
	}
}

// TestRatesOfLateTimes: times of 2^63 ps and more, and before the zero of the
// clock, are shown as what they are.
func TestRatesOfLateTimes(t *testing.T) {
	const second, raised = 1_000_000_000_000, 1_000_000_000_000_000_000
	for _, tt := range []struct {
		tags              []uint64
		raised            uint64
		start, first, end string
	}{
		{[]uint64{1<<63 + 5, 1<<63 + 2*second}, 0, "9223372000000000000", "9223372036854775813", "9223374036854775808"},
		{[]uint64{1<<63 - second, 1<<63 + second}, 0, "9223371000000000000", "9223371036854775808", "9223373036854775808"},
		{[]uint64{math.MaxUint64 - 5, math.MaxUint64}, 0, "18446744000000000000", "18446744073709551610", "18446744073709551615"},
		{[]uint64{raised - 500, raised + 200}, raised, "-1000000000000", "-500", "200"},
		{[]uint64{raised + 1<<62, raised + 1<<62 + 1<<60}, raised, "4611686000000000000", "4611686018427387904", "5764607523034234880"},
		{[]uint64{0, 7}, 0, "0", "0", "7"},
	} {
		bin := int64(second)
		if tt.tags[1]-tt.tags[0] > 1<<50 {
			bin *= 1000
			tt.start = "4611000000000000000"
		}
		r, err := correlate.CountRates([]correlate.Channel{{Tags: channelsOf(tt.tags)[0].Tags, Raised: tt.raised}}, bin)
		if err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(r)
		want := fmt.Sprintf(`{"start_ps":%s,"bin_ps":%d,"channels":[{"tags":2,"first_ps":%s,"last_ps":%s,`, tt.start, bin, tt.first, tt.end)
		if err != nil || !strings.HasPrefix(string(written), want) {
			t.Errorf("%s, %v, want %s", written[:min(len(written), 200)], err, want)
		}
		n := uint64(0)
		for _, c := range r.Channels[0].Counts {
			n += c
		}
		if n != 2 {
			t.Errorf("%d tags in the bins", n)
		}
	}
}

// Errors show tags as they were recorded, not as they were raised.
func TestErrorsOfRaisedTags(t *testing.T) {
	const raised = 1_000_000_000_000_000_000
	raise := func() (c []correlate.Channel) {
		for range 2 {
			c = append(c, correlate.Channel{Tags: tag.NewReader([]uint64{raised - 5, raised + 1<<62}), Raised: raised})
		}
		return c
	}
	_, rates := correlate.CountRates(raise(), 1e12)
	_, pairs := correlate.CountG2(raise()[0], raise()[1], correlate.G2Options{Range: 1000, Bin: 10})
	_, coincidences := correlate.Coincide(raise(), correlate.CoincidenceOptions{Window: 10})
	_, scan := correlate.ScanDelays(raise()[0], raise()[1], correlate.ScanOptions{From: 0, To: 10, Step: 1, Window: 10})
	for i, err := range []error{rates, pairs, coincidences, scan} {
		if err == nil || !strings.Contains(err.Error(), "holds a tag at 4611686018427387904 ps, more than 26 days from A's first at -5 ps") {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Channels are read at once: counts do not depend on how many cores there are, and of
// several errors it is that of the first channel that has one.
func TestRatesDoNotDependOnCores(t *testing.T) {
	const n = 100_000
	channels := func(broken ...int) (all []correlate.Channel) {
		for c := range 5 {
			tags := make([]uint64, n/(c*c+1)*min(c, 1)) // the first channel is empty
			for i := range tags {
				tags[i] = 1<<40 + uint64(i)*uint64(1000*(c+1))
			}
			if slices.Contains(broken, c) {
				tags[len(tags)-1] = 0
			}
			all = append(all, correlate.Channel{Tags: tag.NewReader(tags)})
		}
		return all
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want, err := correlate.CountRates(channels(), 1_000_000)
	if err != nil || want.Channels[1].Tags != n/2 {
		t.Fatal(want.Channels[1], err)
	}
	for _, cores := range []int{1, 4} {
		runtime.GOMAXPROCS(cores)
		if got, err := correlate.CountRates(channels(), 1_000_000); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d cores: other counts (%v)", cores, err)
		}
		var order *correlate.OrderError
		if _, err := correlate.CountRates(channels(3, 2), 1_000_000); !errors.As(err, &order) || order.Stream != "channel 3" {
			t.Errorf("%d cores: %v", cores, err)
		}
	}
}

// TestSilencesAmongManyTags puts long silences at every place among the tags that are
// counted at once, and edges of bins among them, rarely and everywhere.
func TestSilencesAmongManyTags(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	tags, want := []uint64{5_000_000}, []correlate.Gap(nil)
	for i := 1; i < 60_000; i++ {
		from := tags[i-1]
		next := from + 1_000 + rng.Uint64N(2_000)
		if i%97 == 0 && i > 4_000 { // so that each of 32 places has some
			next += 300_000
			want = append(want, correlate.Gap{From: int64(from), To: int64(next)})
		}
		tags = append(tags, next)
	}
	for _, bin := range []int64{7_000, 1_000_003, 1 << 40} {
		r, err := correlate.CountRates(channelsOf(tags), bin)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Channels[0]
		if diff := cmp.Diff(want, c.Gaps); diff != "" {
			t.Errorf("bins of %d ps: %s", bin, diff)
		}
		counts := make([]uint64, len(c.Counts))
		for _, x := range tags {
			counts[(int64(x)-r.Start)/bin]++
		}
		if !slices.Equal(counts, c.Counts) || c.First != int64(tags[0]) || c.Last != int64(tags[len(tags)-1]) {
			t.Errorf("bins of %d ps: not what each tag by itself gives", bin)
		}
	}
}
