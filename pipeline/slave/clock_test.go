package slave

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// nobodyAnswers is the access to a UDP port where nobody answers.
func nobodyAnswers(t *testing.T) *datagram.Access {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &datagram.Access{Port: conn.LocalAddr().(*net.UDPAddr).Port, Session: 1, Key: make([]byte, datagram.KeySize)}
}

// TestClockIsCompared takes part in runs of masters that answer questions about
// their clock, and of others.
func TestClockIsCompared(t *testing.T) {
	for name, c := range map[string]struct {
		source  string
		answers bool
		access  *datagram.Access
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
		"an access of nothing": {source: "auto", access: &datagram.Access{}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "clock: {source: "+c.source+c.more+"}")
			l.access, l.onFailure = c.access, wire.Abort
			if c.answers {
				l.compareClocks(t)
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

// TestClockIsSet sets the clock of a slave's PC, as its watcher says.
func TestClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		at    wire.Phase
		host  string
		tells bool
	}{
		"while it waits":             {wire.Ready, "remote", true},
		"while it is armed":          {wire.Armed, "remote", true},
		"while it records":           {wire.Running, "remote", true},
		"the master's PC, by itself": {wire.Armed, "local", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "clock: {source: auto}")
			l.recipe.Nodes[0].Host = c.host
			l.compareClocks(t)
			o := l.options()
			reached := make(chan struct{}) // the phase
			o.WatchClock = func(ctx context.Context, tell func(clock.Step)) {
				select {
				case <-reached:
					tell(clock.Step{At: 7, By: 1e9})
				case <-ctx.Done():
				}
				<-ctx.Done()
			}
			var once sync.Once
			l.give = func(p wire.Phase) wire.OrderKind {
				if p == c.at {
					once.Do(func() { close(reached) })
				}
				return straight(p)
			}
			if err := l.takePart(o); err != nil {
				t.Fatal(err)
			}
			news, _ := l.heard()
			told, shots := 0, 0
			for _, n := range news {
				if n.ClockSet != nil && n.ClockSet.By == 1e9 {
					told++
				}
				if n.Shot != nil {
					shots++
				}
			}
			if (told == 1) != c.tells || shots != 1 {
				t.Errorf("told %d times, %d starts", told, shots)
			}
		})
	}
}

// TestClockIsSetAndNotComparedAgain: nothing starts by a reading of the clock as it was.
func TestClockIsSetAndNotComparedAgain(t *testing.T) {
	s := &session{recipe: &recipe.Recipe{}, access: nobodyAnswers(t)}
	comparer, err := clock.NewComparer("127.0.0.1", *s.access, clock.Options{Source: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.comparer = comparer
	if local, _, err := s.translate(5); err != nil || local != 5 {
		t.Errorf("it was never compared: %d, %v", local, err)
	}
	s.clock.compared = true
	var f *sdk.Failure
	if _, _, err := s.translate(5); !errors.As(err, &f) || f.Code != "clock-set" {
		t.Errorf("it was compared, and is not: %v", err)
	}
}

// compareClocks has the lab's master tell its time.
func (l *lab) compareClocks(t *testing.T) {
	t.Helper()
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
