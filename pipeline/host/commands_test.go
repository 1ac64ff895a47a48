package host

import (
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
		"halves":          {[]*pluginpb.CommandTime{time(300, 0), time(200, 0), time(9000, 0)}, &fact.CommandPath{Questions: 3, RoundTripNs: 300, SpreadNs: 4400, ThereNs: 150, SplitBy: "half"}},
		"by the device":   {[]*pluginpb.CommandTime{time(300, 200)}, &fact.CommandPath{Questions: 1, RoundTripNs: 300, ThereNs: 200, SplitBy: "device"}},
		"not always told": {[]*pluginpb.CommandTime{time(300, 200), time(300, 0), time(300, 0)}, &fact.CommandPath{Questions: 3, RoundTripNs: 300, ThereNs: 150, SplitBy: "half"}},
		"none":            {nil, nil},
		"too many":        {make([]*pluginpb.CommandTime, 4), nil},
		"nothing":         {make([]*pluginpb.CommandTime, 1), nil},
		"in the past":     {[]*pluginpb.CommandTime{time(-1, 0)}, nil},
		"beyond":          {[]*pluginpb.CommandTime{time(300, 301)}, nil},
		"before":          {[]*pluginpb.CommandTime{time(300, -1)}, nil},
		"for ever":        {[]*pluginpb.CommandTime{time(1<<62, 0)}, nil},
	} {
		got, err := commandPathIn(c.times, 3)
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
		p, err := commandPathIn(times, 100)
		if err != nil || p.ThereNs < 0 || p.ThereNs > p.RoundTripNs || p.SpreadNs < 0 {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}
