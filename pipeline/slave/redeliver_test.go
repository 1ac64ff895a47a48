package slave

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/wire"
)

// broken is a lab whose master took nothing of a run that was recorded, and then
// welcomes the slave to deliver it. The proof is the master's.
func broken(t *testing.T, proof func(instance string) string) (*lab, error) {
	t.Helper()
	l := newLab(t, "", "", "")
	l.hold = true
	l.give = func(p wire.Phase) wire.OrderKind {
		if p == wire.Transferring {
			return wire.Release
		}
		return straight(p)
	}
	if err := l.takePart(l.options()); ending(err) != "abort" {
		t.Fatalf("the first session ended with %v", err)
	}
	return l, l.deliver(proof)
}

// deliver has the slave come again, after a session of which the master took nothing.
func (l *lab) deliver(proof func(instance string) string) error {
	t := l.t
	t.Helper()
	l.mu.Lock()
	l.hold, l.give, l.phase, l.phases, l.order, l.master = false, straight, "", nil, wire.Order{}, "again"
	l.onJoin = func(j *wire.Join) wire.Reply {
		if len(j.Held) != 1 || j.Held[0].Run != l.run.String() || !wire.Proven(j.Held[0].Proof, l.token, wire.HeldBySlave, l.run.String(), "bob", j.Instance) {
			t.Errorf("the slave offers %+v", j.Held)
		}
		w := l.welcome()
		w.Token, w.Recipe, w.Deliver, w.Proof, w.Seen = "", nil, true, proof(j.Instance), uint64(len(l.news))
		return wire.Reply{Welcome: w}
	}
	l.mu.Unlock()
	return l.takePart(l.options())
}

// proves shows a slave that this is the master of its run.
func proves(instance string) string {
	return wire.Prove([16]byte{2}, wire.ResumedByMaster, "01000000000000000000000000000000", "bob", instance)
}

// TestUserLeavesWhileTheMasterIsAway: one interrupt is enough, what was recorded is kept
// and said where, and the next session delivers it.
func TestUserLeavesWhileTheMasterIsAway(t *testing.T) {
	for _, at := range []wire.Phase{wire.Running, wire.Transferring} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			driver := ""
			if at == wire.Running {
				driver = "endless"
			}
			l := newLab(t, driver, "", "")
			l.hold, l.silentAt, l.interruptAt, l.interruptTimes = true, at, at, 1
			var seen observed
			o := l.options()
			o.Observer = &seen
			began := time.Now()
			err := l.takePart(o)
			if !Stopped(err) || !strings.Contains(err.Error(), "the recorded files are in "+l.data) || time.Since(began) > usualPatience/2 {
				t.Fatalf("after %v it ends with %v", time.Since(began), err)
			}
			told := slices.ContainsFunc(seen.events, func(e event.Event) bool {
				p, is := e.(event.Problem)
				return is && p.Code == "master-gone" && strings.Contains(p.Hint, "start this slave again")
			})
			if kept := l.kept(); !told || len(kept) != 1 {
				t.Errorf("the user was told: %v; kept %v", told, kept)
			}
			l.speak()
			if err := l.deliver(proves); err != nil {
				t.Fatal(err)
			}
			if tags, kept := l.segments(), l.kept(); tags == 0 || kept != nil {
				t.Errorf("%d tags arrived, kept %v", tags, kept)
			}
		})
	}
}

// TestDeliverAgain: what a session has recorded is delivered by the next to the master
// of that run, and removed then.
func TestDeliverAgain(t *testing.T) {
	t.Parallel()
	var l *lab
	l, err := broken(t, proves)
	if err != nil {
		t.Fatal(err)
	}
	if tags := l.segments(); tags != 1000 {
		t.Errorf("%d tags arrived, want 1000", tags)
	}
	if left, _ := os.ReadDir(l.data); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if f := l.failures(); len(f) > 0 || l.offered != "again" {
		t.Errorf("failures %v of a record that is whole; offered to %q", f, l.offered)
	}
}

// TestDeliverToNobodyElse: a master that does not know the token gets nothing.
func TestDeliverToNobodyElse(t *testing.T) {
	t.Parallel()
	l, err := broken(t, func(string) string { return "" })
	if err == nil || !strings.Contains(err.Error(), "does not know the run's token") {
		t.Errorf("%v", err)
	}
	if _, phases := l.heard(); len(phases) > 0 || len(l.kept()) != 1 {
		t.Errorf("phases %v were told, kept %v", phases, l.kept())
	}
}

// TestCutRecord: a record whose slave was killed says so once, and what is not the
// ledger of a run is passed over, as is that of a node whose name ends alike.
func TestCutRecord(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for name, text := range map[string]string{"a-bob": "", "b-bob": "TSRUNJ1\n", "c-bob": "no journal"} {
		if err := os.MkdirAll(filepath.Join(data, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, name, ledgerFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(data, strings.Repeat("01", 16)+"-bob")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := newLedger(dir, &wire.Welcome{Run: strings.Repeat("01", 16), Token: strings.Repeat("02", 16)})
	if err != nil {
		t.Fatal(err)
	}
	r := newReporter("bob", "", nil, newInbox())
	r.setLedger(l)
	_, _ = r.Write([]byte(`{"msg":"a line"}`))
	if found := findHeld(data, "bob"); len(found) > 0 {
		t.Errorf("%d runs are held before anything was recorded", len(found))
	}
	l.keep(entry{Fired: &wire.Order{Kind: wire.Fire, Seq: 2, Instant: 5}, SharedNs: new(int64(77))})
	r.queueNews(wire.News{Segment: &wire.Segment{Number: 1}})
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir[:len(dir)-len("bob")]+"lab-bob", os.DirFS(dir)); err != nil { // another node's
		t.Fatal(err)
	}
	found := findHeld(data, "bob")
	if len(found) != 1 || found[0].dir != dir {
		t.Fatalf("found %v", found)
	}
	h, l, err := openHeld(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if h.recorded || h.fired.Seq != 2 || h.shared == nil || *h.shared != 77 || len(h.news) != 1 || h.news[0].Seq != 2 {
		t.Fatalf("held %+v", h)
	}
	again := newReporter("bob", "", nil, newInbox())
	again.restore(l, h, 0)
	if len(again.news) != 2 || !again.news[0].Empty() || again.news[1].Segment == nil || again.lastNews != 2 {
		t.Errorf("news %+v", again.news)
	}
	seen := newReporter("bob", "", nil, newInbox())
	if seen.restore(l, h, 7); len(seen.news) != 0 || seen.lastNews != 7 {
		t.Errorf("news %+v after those that were seen", seen.news)
	}
}
