package slave

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

// nobodyAnswers is the access to a UDP port where nobody answers.
func nobodyAnswers(t *testing.T) *clock.Access {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &clock.Access{Port: conn.LocalAddr().(*net.UDPAddr).Port, Session: 1, Key: make([]byte, clock.KeySize)}
}

// TestClockIsCompared takes part in runs of masters that answer questions about
// their clock, and of others.
func TestClockIsCompared(t *testing.T) {
	for name, c := range map[string]struct {
		source  string
		answers bool
		access  *clock.Access
		failed  bool
		read    bool
		more    string // of the recipe's clock
		code    string // of the failure
	}{
		"answers":              {source: "probe", answers: true, read: true},
		"answers, auto":        {source: "auto", answers: true, read: true},
		"near enough":          {source: "auto", answers: true, read: true, more: ", max_offset: 1 h"},
		"too far":              {source: "auto", answers: true, failed: true, more: ", max_offset: 1 ns", code: "clock-offset"},
		"no ptp4l":             {source: "ptp", answers: true, failed: true, more: ", socket: /nowhere/ptp4l", code: "clock-unheard"},
		"no answers, a limit":  {source: "auto", access: nobodyAnswers(t), failed: true, more: ", max_offset: 1 h", code: "clock-unheard"},
		"no answers":           {source: "probe", access: nobodyAnswers(t), failed: true, code: "clock-unheard"},
		"no answers, auto":     {source: "auto", access: nobodyAnswers(t)},
		"an access of nothing": {source: "auto", access: &clock.Access{}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "clock: {source: "+c.source+c.more+"}")
			l.access, l.onFailure = c.access, wire.Abort
			if c.answers {
				r, err := clock.Listen("127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				var running sync.WaitGroup
				running.Go(func() { r.Run(ctx) })
				t.Cleanup(func() {
					cancel()
					running.Wait()
				})
				if l.access, err = r.Admit(); err != nil {
					t.Fatal(err)
				}
			}
			switch {
			case c.code == "clock-offset":
				l.recipe.Network.Join = 10 * quantity.Second // a busy PC compares for seconds
			case c.failed || !c.answers:
				l.recipe.Network.Join = quantity.Second
			}
			if err := l.takePart(l.options()); (err != nil) != c.failed {
				t.Errorf("the run ended with %v", err)
			}
			if codes := l.failures(); c.code != "" && !slices.Contains(codes, c.code) {
				t.Errorf("failures %v", codes)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			var readings []*clock.Reading
			var asked int64
			for _, n := range l.news {
				if n.Clock != nil {
					readings = append(readings, n.Clock)
				}
				if n.Shot != nil {
					asked = n.Shot.Asked
				}
			}
			if (len(readings) == 1) != c.read {
				t.Fatalf("%d readings were told", len(readings))
			}
			if c.read {
				r := readings[0]
				if text.Magnitude(r.Offset) > r.Bound || text.Magnitude(asked-l.fired-r.Offset) > r.Bound {
					t.Errorf("one clock is %d ± %d ns ahead of itself; fired %d ns off", r.Offset, r.Bound, asked-l.fired)
				}
			}
		})
	}
}
