package master

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// TestNewsWithoutEnd: whatever a node tells again and again, over the port that the
// network reaches, the journal and the manifest have a bound; the node is refused with
// the reason where it comes to that, and the run ends as one that has lost it.
func TestNewsWithoutEnd(t *testing.T) {
	const (
		room = 1 << 20 // bytes, in place of the allowance by the recipe
		most = 3 << 19 // of each file, with what is not the node's
	)
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct {
		news    func(n int) wire.News
		refused bool
	}{
		"devices": {func(int) wire.News {
			return wire.News{Controller: &wire.ControllerUp{Name: "tc", Device: fact.Device{Identity: long}}}
		}, true},
		"ends": {func(int) wire.News {
			return wire.News{Ended: &wire.Ended{Controller: "tc", Report: []byte(`"` + long + `"`)}}
		}, true},
		"of nobody": {func(int) wire.News { return wire.News{Kept: &wire.Kept{Sink: long}} }, true},
		"failures":  {func(int) wire.News { return wire.News{Failure: &sdk.Failure{Code: "x"}} }, true},
		"warnings":  {func(int) wire.News { return wire.News{Warning: &wire.Warning{Message: "x"}} }, true},
		"stops":     {func(int) wire.News { return wire.News{Stopped: true} }, true},
		"reasons":   {func(int) wire.News { return wire.News{Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 1, Why: long}}} }, true},
		"one file": {func(int) wire.News {
			return wire.News{Segment: &wire.Segment{Segment: fact.Segment{Sink: long, File: "raw/alice/a-000000.bin"}}}
		}, true},
		"losses": {func(n int) wire.News {
			return wire.News{Loss: &fact.StreamLoss{Loss: fact.Loss{AtPs: uint64(n), Tags: 1, Why: "x"}}}
		}, false},
		"of no channel": {func(int) wire.News {
			return wire.News{Loss: &fact.StreamLoss{Stream: 9, Loss: fact.Loss{Tags: 1, Why: "x"}}}
		}, false},
		"lines":   {func(int) wire.News { return wire.News{Log: []byte(`{"msg":"x"}`)} }, false},
		"nothing": {func(int) wire.News { return wire.News{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			many, atOnce := 2000, newsAtOnce
			if text, err := json.Marshal(c.news(0)); err != nil || len(text) > len(long) {
				many, atOnce = 16, 4
			}
			var refusal *sdk.Failure
			few := func(c *conductor) { c.book.spent["alice"] = spending{most: room} }
			m, dir := conductedBy(t, few, func(p *player) {
				p.facts, p.atOnce, p.refused = nil, atOnce, func(f *sdk.Failure) { refusal = f }
				for n := range many {
					news := c.news(n)
					news.Seq = uint64(n + 1)
					p.facts = append(p.facts, news)
				}
				p.play()
			})
			if got := refusal != nil && refusal.Code == "too-much"; got != c.refused {
				t.Fatalf("refused: %v, %+v", got, refusal)
			}
			told := slices.ContainsFunc(m.Reasons, func(r run.Reason) bool {
				return r.Node == "alice" && strings.Contains(r.Message, "it told more than a node of this recipe can have to tell")
			})
			if told != c.refused || c.refused && !m.Has(run.Incomplete) || m.Has(run.Aborted) || m.Ended.IsZero() {
				t.Errorf("ended %v, %v: %.300v", m.Ended, m.Condition, m.Reasons)
			}
			for _, file := range []string{run.JournalFile, run.ManifestFile} {
				if info, err := os.Stat(filepath.Join(dir, file)); err == nil && info.Size() > most {
					t.Errorf("%s has %d bytes, at most %d were to come of it", file, info.Size(), most)
				}
			}
		})
	}
}

// An honest node of whatever recipe comes nowhere near its allowance: each planned file
// and each listed loss in a report of its own, with counts.
func TestAllowanceHasRoomForAllThatIsHonest(t *testing.T) {
	for _, lostNode := range []string{"finish", "restart"} {
		for _, channels := range []int{1, 8, 200} {
			n := recipe.Node{Name: "alice", Controllers: make([]recipe.Controller, 1), Channels: make([]recipe.Channel, channels)}
			p := transfer.Plan{Places: []transfer.Place{{Folder: "raw/alice", Files: 3600 * channels}}}
			r := loneRecipe(t).Recipe
			r.Faults.LostNode = lostNode
			name := strings.Repeat("n", 100)
			segment := entry{News: &told{"alice", wire.News{Seq: 1 << 40, Segment: &wire.Segment{Number: 1 << 31, Stream: 1 << 15, Segment: fact.Segment{Sink: name, Index: 1 << 30, File: "raw/alice/" + name,
				Size: 1 << 40, SHA256: strings.Repeat("a", 64), Tags: 1 << 60, FirstPs: 1 << 62, LastPs: 1 << 62, Lost: 1 << 60}}}}}
			loss := entry{News: &told{"alice", wire.News{Seq: 1 << 40, Loss: &fact.StreamLoss{Stream: 1 << 15, Loss: fact.Loss{AtPs: 1 << 62, Tags: 1 << 60, LengthPs: 1 << 62, Why: name}}}}}
			counts := entry{Counts: &counted{"alice", slices.Repeat([]fact.StreamCounts{{Stream: 1 << 15, Counts: fact.Counts{Tags: 1 << 50, Lost: 1 << 40, First: 1 << 56, Last: 1 << 56, Until: 1 << 56}}}, channels)}}
			all := 3600*channels*(length(t, segment)+length(t, counts)) + run.MaxLosses*channels*(length(t, loss)+length(t, counts))
			if most := allowanceOf(r, n, p); int64(all) > most*9/10 {
				t.Errorf("%d channels %s: %d bytes are honest, %d allowed", channels, lostNode, all, most)
			}
		}
	}
}

func length(t *testing.T, e entry) int {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}

// Passing news are acknowledged at once, but not without end; what comes after them is.
func TestPassingNewsAreAcknowledgedSparingly(t *testing.T) {
	c := listening(t)
	m := &member{}
	acknowledged := 0
	for range 10 * seenAtOnce {
		m.news++
		c.acknowledge("alice", m, true)
		if m.seen == m.news {
			acknowledged++
		}
	}
	if acknowledged < 1 || acknowledged > 2*seenAtOnce {
		t.Errorf("%d of %d were acknowledged", acknowledged, 10*seenAtOnce)
	}
	c.acknowledge("alice", m, false)
	if m.seen != m.news {
		t.Error("a fact was not acknowledged")
	}
}
