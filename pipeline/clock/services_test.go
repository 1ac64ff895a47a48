package clock

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/text"
)

// daemon runs a program on a PC until it is killed or the test ends.
func daemon(t *testing.T, pc twopcs.PC, args ...string) (kill func()) {
	t.Helper()
	args = append(append([]string(nil), pc.In...), args...)
	var out strings.Builder
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = c.Process.Kill() // of ip, which is the program by now
			_ = c.Wait()
		}
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(args, " "), out.String())
		}
	})
	return kill
}

func write(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// asking is a service of one PC that is asked over and over.
type asking struct {
	service
	pc twopcs.PC
}

// until asks until a standing is what it should be, and returns it.
func (a *asking) until(t *testing.T, within time.Duration, what string, good func(Standing) bool) (s Standing) {
	t.Helper()
	for end := time.Now().Add(within); ; {
		var ok bool
		a.pc.Within(t, func() { a.look(time.Now) })
		if s, ok = a.standing(time.Now()); ok && good(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s; last %+v, error %v", a.source, what, s, a.err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestPTPOfTwoPCs reads two real ptp4l, of which one follows the other, and kills the
// grandmaster.
func TestPTPOfTwoPCs(t *testing.T) {
	t.Parallel()
	a, b := twopcs.New(t)
	ptp4l := need.Tool(t, "ptp4l", "linuxptp")
	dir := t.TempDir()
	const domain = 77
	conf := func(pc twopcs.PC, more string) string {
		return write(t, fmt.Sprintf("[global]\ntime_stamping software\nfree_running 1\ndomainNumber %d\nuds_address %s/%s\nlogSyncInterval -3\nlogMinDelayReqInterval -3\nlogAnnounceInterval 0\n%s\n[%s]\n",
			domain, dir, pc.Interface, more, pc.Interface))
	}
	stop := daemon(t, a, ptp4l, "-m", "-f", conf(a, "priority1 10\nmasterOnly 1"))
	daemon(t, b, ptp4l, "-m", "-f", conf(b, "priority1 200\nslaveOnly 1"))
	of := func(pc twopcs.PC, domain int) *asking {
		p := newPTP(filepath.Join(dir, pc.Interface), domain)
		return &asking{service{follower: follower{source: PTP}, ask: p.ask}, pc}
	}
	master, node := of(a, domain), of(b, domain)
	master.until(t, 30*time.Second, "no grandmaster", func(s Standing) bool { return s.Lost == "" })
	here := node.until(t, 30*time.Second, "follows nobody", func(s Standing) bool { return s.Lost == "" && s.Readings >= 16 })
	there := master.until(t, 30*time.Second, "no grandmaster", func(s Standing) bool { return s.Lost == "" })
	now := time.Now().UnixNano()
	r, why := here.against(there, now, now, false)
	if why != "" || text.Magnitude(r.Offset) > r.Bound || r.Bound <= 0 || r.Bound > 1e9 || !r.Plausible() {
		t.Errorf("one clock is %+v ahead of itself (%s); standings %+v and %+v", r, why, here, there)
	}
	t.Logf("offset %d ± %d ns, deviation %.0f ns, drift %.1f ppb, delay %d ns, %s, %s", r.Offset, r.Bound, r.Deviation, r.Drift, r.Trip, here.State, here.Reference)
	if _, _, err := of(b, domain+1).once(t); err == nil || !strings.Contains(err.Error(), "clock.domain") {
		t.Errorf("another domain: %v", err)
	}

	stop()
	killed := time.Now()
	lost := node.until(t, 60*time.Second, "a grandmaster that is killed is believed", func(s Standing) bool { return s.Lost != "" })
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("a grandmaster that was killed was believed for %v", took)
	}
	if _, why := lost.against(there, now, now, false); !strings.Contains(why, "here: ptp4l") {
		t.Errorf("of a grandmaster that was killed: %q", why)
	}
	gone := master.until(t, 10*time.Second, "a ptp4l that was killed is believed", func(s Standing) bool { return s.Lost != "" })
	if !strings.Contains(gone.Lost, "does not answer any more") {
		t.Errorf("of a ptp4l that was killed: %q", gone.Lost)
	}
}

func (a *asking) once(t *testing.T) (r Followed, new bool, err error) {
	t.Helper()
	a.pc.Within(t, func() { r, new, err = a.ask() })
	return r, new, err
}

// TestChronyOfTwoPCs reads two real chronyd, of which one is the server of the other,
// and kills the server.
func TestChronyOfTwoPCs(t *testing.T) {
	t.Parallel()
	a, b := twopcs.New(t)
	chronyd := need.Tool(t, "chronyd", "chrony")
	conf := func(text string) string {
		return write(t, text+"\nbindcmdaddress 127.0.0.1\nbindcmdaddress /\npidfile "+filepath.Join(t.TempDir(), "pid")+"\n")
	}
	run := func(pc twopcs.PC, text string) (kill func()) {
		return daemon(t, pc, chronyd, "-x", "-d", "-u", "root", "-f", conf(text))
	}
	stop := run(a, "local stratum 1\nallow 10.77.0.0/24")
	run(b, "server "+a.Address+" minpoll -3 maxpoll -3 iburst xleave")
	of := func(pc twopcs.PC) *asking {
		return &asking{service{follower: follower{source: Chrony}, ask: chronyService{}.ask}, pc}
	}
	master, node := of(a), of(b)
	here := node.until(t, 60*time.Second, "not synchronised", func(s Standing) bool { return s.Lost == "" && s.Readings >= 16 })
	there := master.until(t, 30*time.Second, "not synchronised", func(s Standing) bool { return s.Lost == "" })
	now := time.Now().UnixNano()
	if here.Reference != ntpServer(a.Address) {
		t.Errorf("follows %q", here.Reference)
	}
	r, why := here.against(there, now, now, true)
	if why != "" || text.Magnitude(r.Offset) > r.Bound || r.Bound <= 0 || r.Bound > 60e9 || !r.Plausible() {
		t.Errorf("one clock is %+v ahead of itself (%s); standings %+v and %+v", r, why, here, there)
	}
	t.Logf("offset %d ± %d ns, deviation %.0f ns, drift %.1f ppb, delay %d ns, %s, %s", r.Offset, r.Bound, r.Deviation, r.Drift, r.Trip, here.State, here.Reference)
	if _, why := here.against(there, now, now, false); !strings.Contains(why, "two references") {
		t.Errorf("two references are compared: %q", why)
	}
	stop()
	killed := time.Now()
	node.until(t, 60*time.Second, "a server that is killed is believed", func(s Standing) bool { return s.Lost != "" })
	if took := time.Since(killed); took > 15*time.Second {
		t.Errorf("a server that was killed was believed for %v", took)
	}
}
