package live

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
)

// many is a rig of many nodes, each with a channel of its own clock: those but the first are
// followed against the first, or each against the one before it.
type many struct {
	*rig
	chain    bool
	random   *rand.Rand
	channels []string
	tags     [][]uint64 // of each, of all segments
	files    [][]Segment
}

func newMany(t *testing.T, nodes int, chain bool, seed uint64) *many {
	m := &many{chain: chain, random: rand.New(rand.NewPCG(seed, 7)), tags: make([][]uint64, nodes), files: make([][]Segment, nodes)}
	for i := range nodes {
		m.channels = append(m.channels, fmt.Sprintf("n%02d.c", i))
	}
	m.rig = newRig(t, recipe.LiveConfig{Queue: 1024}, false, func(whole *recipe.Recipe) {
		whole.Nodes = nil
		for i := range nodes {
			whole.Nodes = append(whole.Nodes, recipe.Node{Name: fmt.Sprintf("n%02d", i), Channels: []recipe.Channel{{Name: "c", Controller: "tc"}}})
			if i > 0 {
				whole.Stages = append(whole.Stages, runtest.Stage("to "+m.channels[i], "align", stage.AlignConfig{Reference: m.against(i), Target: m.channels[i]}))
			}
		}
	})
	return m
}

func (m *many) against(node int) string {
	if m.chain {
		return m.channels[node-1]
	}
	return m.channels[0]
}

// record writes segments of so many tags of each node.
func (m *many) record(segments, each int) {
	m.t.Helper()
	for i := range m.channels {
		for k := range segments {
			tags := make([]uint64, each)
			for j := range tags {
				tags[j] = uint64(k)*length + m.random.Uint64N(length)
			}
			slices.Sort(tags)
			node, name := m.channels[i][:3], fmt.Sprintf("n%02d-%d.bin", i, k)
			if err := tagfile.WriteFile(filepath.Join(m.dir, name), tagfile.Bin, 1, tags); err != nil {
				m.t.Fatal(err)
			}
			m.tags[i] = append(m.tags[i], tags...)
			m.files[i] = append(m.files[i], Segment{Segment: run.Segment{Node: node, Channel: "c", Segment: fact.Segment{Sink: "raw", Index: k, File: name, Tags: uint64(each)}}, Nth: k})
		}
	}
}

// offer gives a window of all nodes in any order, and so many values of each clock.
func (m *many) offer(window, values int) {
	var give []func()
	for i := range m.channels {
		give = append(give, func() { m.Offer(m.files[i][window]) })
		if i == 0 {
			continue
		}
		give = append(give, func() {
			var all []align.Value
			for k := range values {
				at := uint64(window)*length + uint64(k)*(length/uint64(values))
				all = append(all, value(at, int64(i)*1000+m.random.Int64N(21)-10, 100*m.random.NormFloat64()))
			}
			m.Follow(Followed{Stage: "to " + m.channels[i], Reference: m.against(i), Target: m.channels[i], Next: window + 1, State: align.Tracking, Values: all})
		})
	}
	m.random.Shuffle(len(give), func(i, k int) { give[i], give[k] = give[k], give[i] })
	for _, g := range give {
		g()
	}
}

// wants reads to the end, and wants every tag once, in order, where the lines of its message
// carry it.
func (m *many) wants(l *listener) {
	m.t.Helper()
	got, before, sent := make([]int, len(m.channels)), int64(-1<<62), 0
	for i, h := range l.all() {
		if linesOf(h.Clocks) > maxLines || h.Seq != uint64(i) {
			m.t.Fatalf("message %d has number %d and %d lines", i, h.Seq, linesOf(h.Clocks))
		}
		lines := make([]correlate.Correction, len(m.channels))
		for _, c := range h.Clocks {
			var node int
			if _, err := fmt.Sscanf(c.Clock, "n%d.tc", &node); err != nil || (c.Against != "") != (m.chain && node > 1) {
				m.t.Fatalf("%+v, %v", c, err)
			}
			var err error
			if lines[node], err = correlate.NewCorrection(c.Lines...); err != nil {
				m.t.Fatal(err)
			}
		}
		for k, at := range h.times {
			node := int(h.channels[k])
			due := m.tags[node][got[node]]
			for i := node; i > 0; i-- {
				if due = lines[i].Apply(due); !m.chain {
					break
				}
			}
			if at != int64(due) || at < before {
				m.t.Fatalf("message %d: tag %d of node %d is at %d behind %d, its lines say %d", i, got[node], node, at, before, int64(due))
			}
			before = at
			got[node]++
			sent++
		}
		if h.Kind == KindEnd && (h.Totals.Tags != uint64(sent) || h.Totals.Late+h.Totals.Withheld != 0 || h.Totals.Missed != 0) {
			m.t.Errorf("%+v of %d tags", h.Totals, sent)
		}
	}
	for i := range got {
		if got[i] != len(m.tags[i]) {
			m.t.Errorf("%d tags of %d of node %d", got[i], len(m.tags[i]), i)
		}
	}
}

// TestTwentyNodesLive: twenty channels of as many clocks, followed as a star and as a chain
// of nineteen, which bring their segments in any order, all behind the first at once: each tag
// is sent once, in order, as its message says.
func TestTwentyNodesLive(t *testing.T) {
	for _, chain := range []bool{false, true} {
		m := newMany(t, 20, chain, 1)
		l := m.subscribe("")
		m.record(8, 25)
		for window := range 8 {
			m.offer(window, 1)
		}
		m.End()
		m.wants(l)
	}
}

// TestManyLinesOfClocks: a message has no more lines than who reads it expects, however
// often clocks were looked at within a segment.
func TestManyLinesOfClocks(t *testing.T) {
	m := newMany(t, 5, true, 2)
	l := m.subscribe("")
	m.record(2, 60)
	m.offer(0, 400)
	m.offer(1, 400)
	m.End()
	m.wants(l)
}

// TestBacklogIsTakenFirst: what waits is taken before each window, so that the inbox has room
// while much is sent.
func TestBacklogIsTakenFirst(t *testing.T) {
	whole := newMany(t, 3, false, 3)
	whole.record(3, 2)
	s, err := Listen(recipe.Live{Name: "live", Config: recipe.LiveConfig{Address: "ipc://" + filepath.Join(t.TempDir(), "s"), Queue: 1}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.merger(Begin{Dir: whole.dir, Recipe: &recipe.Recipe{}})
	if err != nil {
		t.Fatal(err)
	}
	for window := range 3 {
		for _, files := range whole.files {
			s.Offer(files[window])
		}
	}
	if !s.takeWaiting(m) || len(s.inbox) != 0 || m.totals.Messages != 0 {
		t.Errorf("%d wait, %+v", len(s.inbox), m.totals)
	}
	s.End()
	if s.takeWaiting(m) {
		t.Error("more comes behind the end")
	}
	s.Close(0)
}

// TestLongTwentyNodesLive says how many tags of twenty nodes a second are merged and sent.
func TestLongTwentyNodesLive(t *testing.T) {
	need.Long(t)
	for _, chain := range []bool{false, true} {
		m := newMany(t, 20, chain, 4)
		l := m.subscribe("")
		const windows, each = 40, 10_000
		m.record(windows, each)
		began, tags := time.Now(), 0
		for window := range windows {
			m.offer(window, 4)
		}
		m.End()
		h := l.next()
		for ; h.Kind != KindEnd; h = l.next() {
			tags += h.Tags
		}
		if end := h.Totals; end.Tags != uint64(20*windows*each) || end.Late+end.Withheld != 0 || tags > int(end.Tags) {
			t.Errorf("%+v of %d tags heard", end, tags)
		}
		took := time.Since(began).Seconds()
		t.Logf("chain %v: %.1f million tags/s of twenty nodes, %d of %d heard", chain, float64(20*windows*each)/took/1e6, tags, 20*windows*each)
	}
}
