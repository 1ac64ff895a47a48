package run

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/pipeline/fact"
)

const s = 1_000_000_000_000 // ps

// recorded is a run of alice.a and bob.b with files of a second each, of 10 s.
func recorded() *Manifest {
	m := &Manifest{DurationPs: 10 * s, Nodes: map[string]*Node{}, Trigger: Trigger{Method: "scheduled", Master: "alice"}}
	for _, name := range []string{"alice", "bob"} {
		channel := name[:1]
		m.Nodes[name] = &Node{Host: "local", Start: &Start{EstimateNs: 5_000_000_000, UncertaintyNs: 1_000_000},
			Channels: map[string]*Channel{channel: {Controller: "tc", Tags: 100, LengthPs: 10 * s}}}
		for i := range uint64(10) {
			m.Segments = append(m.Segments, Segment{Node: name, Channel: channel, Verified: true,
				Segment: fact.Segment{Sink: "raw", Index: int(i), Tags: 10, FirstPs: i*s + s/10, LastPs: i*s + s*9/10}})
		}
	}
	return m
}

const ms = s / 1000

func TestCommonTime(t *testing.T) {
	b := func(m *Manifest) *Channel { return m.Nodes["bob"].Channels["b"] }
	for name, c := range map[string]struct {
		change   func(m *Manifest)
		from, to uint64
		why      string
	}{
		"all":              {func(*Manifest) {}, 2 * ms, 10*s - 2*ms, ""},
		"one node":         {func(m *Manifest) { delete(m.Nodes, "bob") }, 0, 10 * s, ""},
		"no node":          {func(m *Manifest) { clear(m.Nodes) }, 0, 0, "the run has no channels"},
		"nothing recorded": {func(m *Manifest) { b(m).LengthPs = 0 }, 0, 0, "bob.b has no time in which it, and the other channels of its controller, recorded without a gap"},
		"ended early":      {func(m *Manifest) { b(m).LengthPs = 4 * s }, 2 * ms, 4*s - 2*ms, ""},
		"started later":    {func(m *Manifest) { m.Nodes["bob"].Start.EstimateNs += 1_000_000_000 }, s + 2*ms, 10 * s, ""},
		"started before":   {func(m *Manifest) { m.Nodes["bob"].Start.EstimateNs -= 1_000_000_000 }, 0, 9*s - 2*ms, ""},
		"no start known":   {func(m *Manifest) { m.Nodes["bob"].Start = nil }, 0, 10 * s, ""},
		"hardware":         {func(m *Manifest) { m.Trigger.Method = "hardware" }, 0, 10 * s, ""},
		"a hole": {func(m *Manifest) { b(m).Losses = []fact.Loss{{AtPs: 2 * s, LengthPs: s}} },
			3*s + 2*ms, 10*s - 2*ms, ""},
		"a loss": {func(m *Manifest) { b(m).Lost, b(m).Losses = 3, []fact.Loss{{AtPs: 6*s + s/2, Tags: 3}} },
			2 * ms, 6*s + s/2 - 2*ms, ""},
		"a loss before the first file": {func(m *Manifest) { b(m).Lost, b(m).Losses = 3, []fact.Loss{{Tags: 3}} }, s/10 + 2*ms, 10*s - 2*ms, ""},
		"a loss in the last file": {func(m *Manifest) { b(m).Lost, b(m).Losses = 3, []fact.Loss{{AtPs: 9*s + s/2, Tags: 3}} },
			2 * ms, 9*s + s/2 - 2*ms, ""},
		"losses that are not listed": {func(m *Manifest) { b(m).Lost, b(m).Losses = 9, []fact.Loss{{AtPs: s / 2, Tags: 3}} }, 2 * ms, s/2 - 2*ms, ""},
		"lost, nobody knows where":   {func(m *Manifest) { b(m).Lost = 9 }, 0, 0, "bob.b has no time in which it, and the other channels of its controller, recorded without a gap"},
		"a file is not here":         {func(m *Manifest) { m.Segments[12].Verified = false }, 3*s + s/10 + 2*ms, 10*s - 2*ms, ""},
		"the last files are not here": {func(m *Manifest) { m.Segments[18].Verified, m.Segments[19].Verified = false, false },
			2 * ms, 7*s + s*9/10 - 2*ms, ""},
		"no file is here": {func(m *Manifest) {
			for i := range 10 {
				m.Segments[10+i].Verified = false
			}
		}, 0, 0, "bob.b has no time in which it, and the other channels of its controller, recorded without a gap"},
		"tags in no file":     {func(m *Manifest) { b(m).Tags = 101 }, 2 * ms, 9*s + s*9/10 - 2*ms, ""},
		"no files are kept":   {func(m *Manifest) { m.Segments = nil }, 2 * ms, 10*s - 2*ms, ""},
		"nothing in common":   {func(m *Manifest) { m.Nodes["bob"].Start.EstimateNs += 60_000_000_000 }, 0, 0, "there was no time in which all nodes recorded without a gap"},
		"shorter than its sd": {func(m *Manifest) { b(m).LengthPs = 3 * ms }, 0, 0, "there was no time in which all nodes recorded without a gap"},
		"started anew": {func(m *Manifest) {
			m.Nodes["bob"].Restarts = []Restart{{Restart: fact.Restart{From: 2 * s, At: 3 * s}}}
			b(m).Losses = []fact.Loss{{AtPs: 2 * s, LengthPs: s}}
		}, 3*s + 2*ms, 10*s - 2*ms, ""},
		"beyond every number": {func(m *Manifest) {
			b(m).LengthPs, b(m).Losses = math.MaxUint64, []fact.Loss{{AtPs: math.MaxUint64, LengthPs: math.MaxUint64, Tags: math.MaxUint64}, {AtPs: math.MaxUint64, Tags: math.MaxUint64}}
			m.Nodes["bob"].Start.EstimateNs, m.Nodes["bob"].Start.UncertaintyNs = math.MinInt64/2, 0
		}, 0, 0, "there was no time in which all nodes recorded without a gap"},
	} {
		t.Run(name, func(t *testing.T) {
			m := recorded()
			c.change(m)
			got := m.FindCommon(m.StartScale)
			if got.FromPs != c.from || got.ToPs != c.to || got.Why != c.why {
				t.Errorf("from %d to %d, %q; want %d to %d, %q", got.FromPs, got.ToPs, got.Why, c.from, c.to, c.why)
			}
		})
	}
}

// The times of each clock are where the common time lies on it.
func TestCommonTimeOfEachClock(t *testing.T) {
	m := recorded()
	m.Nodes["bob"].Start.EstimateNs += 1_000_000_000
	c := m.FindCommon(m.StartScale)
	a, b := c.Clocks["alice.tc"], c.Clocks["bob.tc"]
	if a.By != ByReference || b.By != ByStart || a.FromPs != c.FromPs || b.FromPs != c.FromPs-s || b.ToPs != c.ToPs-s || b.UncertaintyPs != 2*ms {
		t.Errorf("%+v", c)
	}
	m.Nodes["bob"].Host = "remote"
	if by := m.FindCommon(m.StartScale).Clocks["bob.tc"].By; by != ByNothing {
		t.Errorf("the clock of another PC that nothing compared: %s", by)
	}
}

// Whatever is missing, no place of the common time lies in a gap, and no longer time is
// without one.
func TestCommonTimeHoldsNoGap(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		gaps := make([]span, rng.IntN(8))
		whole := []span{{0, 100}}
		missing := [100]bool{}
		for i := range gaps {
			from := int64(rng.IntN(100))
			gaps[i] = span{from, from + int64(rng.IntN(30))}
			for at := gaps[i].from; at < min(gaps[i].to, 100); at++ {
				missing[at] = true
			}
		}
		kept := [100]bool{}
		for _, v := range without(whole, gaps) {
			for at := v.from; at < v.to; at++ {
				kept[at] = true
			}
		}
		for at := range kept {
			if kept[at] == missing[at] {
				t.Fatal(fmt.Sprint("seed ", seed, ", gaps ", gaps, ": at ", at, " kept ", kept[at]))
			}
		}
	}
}
