package host

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/fact"
	"tsrun/sdk/pluginpb"
)

func TestCommandPathOfWhatAPluginSays(t *testing.T) {
	time := func(trip, there int64) *pluginpb.CommandTime {
		return &pluginpb.CommandTime{RoundTripNs: trip, ThereNs: there}
	}
	for name, c := range map[string]struct {
		times []*pluginpb.CommandTime
		want  *fact.CommandPath // nil: it is refused
	}{
		"halves":          {[]*pluginpb.CommandTime{time(300, 0), time(200, 0), time(9000, 0)}, &fact.CommandPath{Questions: 3, RoundTripNs: 200, SpreadNs: 4400, ThereNs: 100, DoubtNs: 200, SplitBy: "half"}},
		"by the device":   {[]*pluginpb.CommandTime{time(300, 200)}, &fact.CommandPath{Questions: 1, RoundTripNs: 300, ThereNs: 200, DoubtNs: 300, SplitBy: "device"}},
		"not always told": {[]*pluginpb.CommandTime{time(300, 200), time(300, 0), time(300, 0)}, &fact.CommandPath{Questions: 3, RoundTripNs: 300, ThereNs: 150, DoubtNs: 300, SplitBy: "half"}},
		"none":            {nil, nil},
		"too many":        {make([]*pluginpb.CommandTime, 4), nil},
		"nothing":         {make([]*pluginpb.CommandTime, 1), nil},
		"in the past":     {[]*pluginpb.CommandTime{time(-1, 0)}, nil},
		"beyond":          {[]*pluginpb.CommandTime{time(300, 301)}, nil},
		"before":          {[]*pluginpb.CommandTime{time(300, -1)}, nil},
		"for ever":        {[]*pluginpb.CommandTime{time(1<<62, 0)}, nil},
	} {
		got, err := CommandPathIn(c.times, 3)
		if (err == nil) != (c.want != nil) || c.want != nil && *got != *c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCommandPathLiesWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []*pluginpb.CommandTime
		for _, trip := range rapid.SliceOfN(rapid.Int64Range(1, 1_000_000), 1, 100).Draw(t, "trips") {
			times = append(times, &pluginpb.CommandTime{RoundTripNs: trip, ThereNs: rapid.Int64Range(0, trip).Draw(t, "there")})
		}
		p, err := CommandPathIn(times, 100)
		if err != nil || p.ThereNs < 0 || p.ThereNs > p.RoundTripNs || p.SpreadNs < 0 || p.DoubtNs < 0 || len(times) < 8 && p.Known() {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

// Two nodes of one PC whose commands take 80 us, each timed while it is busy in another
// way: the ways that are found agree to a fifth, or are not known.
func TestCommandPathOfABusyPC(t *testing.T) {
	const way = 80_000
	known := 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		held, long := []float64{0, 0.2, 0.45, 0.7, 1}[seed%5], 20_000+rng.Float64()*2_000_000
		times := make([]*pluginpb.CommandTime, 64)
		for i := range times {
			trip := 2*way + int64(4000*rng.ExpFloat64())
			if rng.Float64() < held {
				trip += int64(long * rng.ExpFloat64())
			}
			times[i] = &pluginpb.CommandTime{RoundTripNs: trip}
		}
		p, err := CommandPathIn(times, 64)
		if err != nil {
			t.Fatal(err)
		}
		if off := p.ThereNs - way; p.Known() && (off < 0 || off > way) || held < 0.5 && off > way/5 {
			t.Errorf("seed %d: %.0f %% are held up by %.0f us: %+v", seed, 100*held, long/1000, p)
		}
		if p.Known() {
			known++
		}
	}
	if known < 150 {
		t.Errorf("%d of 300 ways are known", known)
	}
}
