package clock

import (
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/text"
)

// reads gives a follower readings of a clock that is offset ns ahead and runs fast by drift.
func reads(f *follower, n int, offset int64, drift float64, doubt int64, of string) {
	now := time.Now()
	for i := range n {
		at := now.Add(time.Duration(i-n) * followEvery)
		f.note(Followed{At: at.UnixNano(), Offset: offset + int64(drift*float64(at.Sub(now))), Doubt: doubt, Of: of, State: "SLAVE"}, at)
	}
}

func TestStandingsHold(t *testing.T) {
	for name, c := range map[string]struct {
		offset int64
		drift  float64
	}{"equal": {}, "10 ms": {10e6, 1e-6}, "an hour behind": {-3600e9, -50e-6}, "fast": {5, 100e-6}} {
		f := follower{source: PTP}
		reads(&f, 40, c.offset, c.drift, 500, "a")
		s, ok := f.standing(time.Now())
		if !ok || s.Lost != "" || s.Unsteady || text.Magnitude(s.Offset-c.offset) > s.Bound || s.Bound < 500 || s.Bound > 20_000 || !s.Plausible() {
			t.Errorf("%s: %+v, %v", name, s, ok)
		}
		if text.Magnitude(int64(s.Drift-c.drift*1e9)) > 20 {
			t.Errorf("%s: drift %.1f ppb", name, s.Drift)
		}
	}
}

// TestStandingsThatAreLost: what is old, gone or another reference is not believed.
func TestStandingsThatAreLost(t *testing.T) {
	f := follower{source: PTP}
	if _, ok := f.standing(time.Now()); ok {
		t.Error("a service that said nothing has a standing")
	}
	reads(&f, 40, 0, 0, 500, "a")
	if s, _ := f.standing(time.Now().Add(silentAfter + time.Second)); !strings.Contains(s.Lost, "nothing new") {
		t.Errorf("a silent service: %+v", s)
	}
	reads(&f, LeastFollowed-1, 0, 0, 500, "b")
	if s, ok := f.standing(time.Now()); ok {
		t.Errorf("another reference begins with what was read of the one before: %+v", s)
	}
	f.note(Followed{At: 1, Of: "b", Lost: "gone"}, time.Now())
	if s, ok := f.standing(time.Now()); !ok || s.Lost != "gone" {
		t.Errorf("a service that follows nobody: %+v", s)
	}
}

func TestTwoReferencesAreNotOneClock(t *testing.T) {
	here, there := Standing{Source: PTP, Reference: "a", Offset: 100, Bound: 10}, Standing{Source: PTP, Reference: "a", Offset: 70, Bound: 5}
	if r, why := here.against(there, 0, 0, false); why != "" || r.Offset != 30 || r.Bound < 15 {
		t.Errorf("%+v, %q", r, why)
	}
	there.Reference = "b"
	if r, why := here.against(there, 0, 0, false); !strings.Contains(why, "two references") {
		t.Errorf("%+v, %q", r, why)
	}
	if r, why := here.against(there, 0, 0, true); why != "" || r.Offset != 30 || r.Bound < 10 {
		t.Errorf("of the master's own server: %+v, %q", r, why)
	}
	there.Lost = "gone"
	if _, why := here.against(there, 0, 0, false); !strings.Contains(why, "at the master") {
		t.Errorf("a master that is lost: %q", why)
	}
}

// compared is a comparer whose probe says 0 ± 450 ns, beside one service.
func compared(t *testing.T, wanted string, offset, doubt int64) (*Comparer, *service) {
	t.Helper()
	l := newLab(t)
	p := l.prober(t, 0)
	t.Cleanup(func() { p.socket.conn.Close() })
	now := time.Now().UnixNano()
	for i := range int64(40) {
		at := now + (i-40)*50e6
		p.keep(Exchange{at, at + 400, at + 500, at + 900}, true)
	}
	one := &service{follower: follower{source: PTP}}
	reads(&one.follower, 20, offset, 0, doubt, "a")
	c := &Comparer{prober: p, services: &Services{[]*service{one}}, wanted: wanted, servedBy: map[string]bool{}, last: map[string]Reading{}}
	c.Hear([]Standing{{Source: PTP, Reference: "a", At: now, Bound: 1}})
	return c, one
}

// TestTheBestIsTaken: auto takes the smallest bound that the probe does not exclude,
// and a source that is asked for is not replaced by another.
func TestTheBestIsTaken(t *testing.T) {
	for _, c := range []struct {
		wanted        string
		offset, doubt int64
		source        string
		disagrees     bool
	}{
		{"auto", 10, 20, PTP, false},
		{"auto", 10, 5000, Probe, false},
		{"auto", 1e6, 20, Probe, true},
		{"ptp", 10, 5000, PTP, false},
		{"ptp", 1e6, 20, PTP, true},
		{"probe", 10, 20, Probe, false},
	} {
		cmp, _ := compared(t, c.wanted, c.offset, c.doubt)
		r, ok := cmp.Reading()
		if _, disagrees := r.Disagrees(); !ok || r.Source != c.source || disagrees != c.disagrees || len(r.Others) != 1 || !r.Plausible() {
			t.Errorf("%+v: %+v, %v", c, r, ok)
		}
	}
	if cmp, _ := compared(t, Chrony, 0, 20); true {
		if r, ok := cmp.Reading(); ok {
			t.Errorf("a source that says nothing gives %+v", r)
		}
	}
}

// TestASourceThatIsLostIsTold loses a service that was believed.
func TestASourceThatIsLostIsTold(t *testing.T) {
	for wanted, source := range map[string]string{PTP: PTP, "auto": Probe} {
		c, one := compared(t, wanted, 10, 20)
		if r, ok := c.Reading(); !ok || r.Source != PTP || r.Lost != "" {
			t.Fatalf("before: %+v", r)
		}
		one.note(Followed{At: 1, Of: "a", Lost: "its port is LISTENING"}, time.Now())
		r, ok := c.Reading()
		if !ok || r.Source != source || (r.Lost != "") != (wanted == PTP) || !r.Plausible() {
			t.Errorf("%s: %+v, %v", wanted, r, ok)
		}
		if said := r.Lost; said == "" && !strings.Contains(r.Others[0].Why, "LISTENING") || said != "" && !strings.Contains(said, "LISTENING") {
			t.Errorf("%s: %+v", wanted, r)
		}
		c.Hear([]Standing{{Source: "of nobody"}}) // is passed over
		if len(c.theirs) != 1 || c.theirs[0].Source != PTP {
			t.Errorf("hears %+v", c.theirs)
		}
	}
}

// TestASourceThatBeginsAnew follows another reference, or a clock that was set, from now on: that
// says nothing against it, and it gives no reading until it has said enough.
func TestASourceThatBeginsAnew(t *testing.T) {
	for wanted, source := range map[string]string{PTP: "", "auto": Probe} {
		c, one := compared(t, wanted, 10, 20)
		if r, ok := c.Reading(); !ok || r.Source != PTP {
			t.Fatalf("before: %+v", r)
		}
		now := time.Now()
		one.note(Followed{At: now.UnixNano(), Offset: 10, Doubt: 20, Of: "b"}, now)
		if r, ok := c.Reading(); ok != (source != "") || r.Source != source || r.Lost != "" || len(r.Others) > 1 {
			t.Errorf("%s: %+v, %v", wanted, r, ok)
		}
		reads(&one.follower, LeastFollowed, 10, 0, 20, "b")
		c.Hear([]Standing{{Source: PTP, Reference: "b", At: now.UnixNano(), Bound: 1}})
		if r, ok := c.Reading(); !ok || r.Source != PTP || r.Lost != "" || r.Reference != "b" {
			t.Errorf("%s, later: %+v, %v", wanted, r, ok)
		}
	}
}

func TestTrackingThatIsNotBelieved(t *testing.T) {
	now := time.Now()
	good := tracked(now)
	if r := judgeTracking(good, now); r.Lost != "" || r.Offset != -1500 || r.Doubt != 2_000_000+500_000 || r.Of != "ntp 10.0.0.1" {
		t.Errorf("%+v", r)
	}
	for name, change := range trackingFaults(now) {
		bad := *good
		change(&bad)
		if r := judgeTracking(&bad, now); r.Lost == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
