package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/web"
)

// heap is what the scripts of a page hold that anything still needs.
func (p *tab) heap() float64 {
	p.do(p.session, "HeapProfiler.collectGarbage", nil)
	used, _ := p.do(p.session, "Runtime.getHeapUsage", nil)["usedSize"].(float64)
	return used
}

// Two days of a run, told faster, leave the memory of a tab as it is after some hours.
func TestLongTabThroughTwoDays(t *testing.T) {
	need.LongWhole(t)
	b := startBrowser(t)
	hub := event.NewHub()
	server, err := web.Listen(t.Context(), "127.0.0.1:0", web.Options{Recipe: &recipe.Recipe{Name: "two days"}, Feed: hub.Subscribe(), Stop: func() error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, true) }()
	defer func() { stop(); <-ended }()
	page := b.open(server.URL(), true)
	page.do(page.session, "Page.bringToFront", nil)
	page.until(20*time.Second, `document.readyState === "complete"`)
	hub.Observe(event.StateChanged{State: "running"})
	var early float64
	for h := 1; h <= 48; h++ {
		for i := range 60 { // each stands for a minute
			s := uint64(h*3600 + i*60)
			hub.Observe(event.Progress{Node: "alice", Tags: s * 1000, Elapsed: time.Duration(s) * time.Second,
				Channels: map[string]event.ChannelProgress{"signal": {Tags: s*1000 + s%977, UntilPs: s * 1e12}}})
			counts := make([]uint64, 200)
			counts[100] = s
			hub.Observe(event.Pairs{Stage: "align", Reference: "alice.signal", Target: "bob.idler", Segment: int(s), AtPs: s * 1e12, StartPs: -100, BinPs: 1,
				Counts: counts, Newest: counts, Raw: counts, Last: correlate.NewPairSum(), Total: correlate.NewPairSum()})
			hub.Observe(event.Warning{Message: fmt.Sprint("warning ", s)})
			time.Sleep(20 * time.Millisecond)
		}
		page.until(20*time.Second, fmt.Sprintf(`document.getElementById("s-events").textContent.includes("warning %d")`, h*3600+59*60))
		if h == 12 {
			early = page.heap()
		}
	}
	if late := page.heap(); late > early+4<<20 {
		t.Errorf("after 12 hours the tab holds %.0f bytes, after 48 %.0f", early, late)
	} else {
		t.Logf("after 12 hours the tab holds %.0f bytes, after 48 %.0f", early, late)
	}
	b.quiet()
}
