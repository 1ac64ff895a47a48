package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// bobIsArmed is how the event ends that says so.
const bobIsArmed = `Z","node":"bob"}`

// TestLongSubscriber kills the slave of the other PC between its arming and the
// instant, over a link that takes 50 ms each way, and starts it anew: no node records
// alone that was not told to before, and none without a word.
func TestLongSubscriber(t *testing.T) {
	t.Parallel()
	const beside = 4
	trials := need.LongTrials(t, 200, beside) / beside
	for series := range beside {
		t.Run(fmt.Sprint(series), func(t *testing.T) {
			t.Parallel()
			ends := map[string]int{}
			random := rand.New(rand.NewPCG(uint64(series), 50))
			for trial := range trials {
				t.Run(fmt.Sprint(trial), func(t *testing.T) {
					a := newApart(t, linkPhase{alice: ", arm: 400 ms", lead: "1 s", length: time.Second, usual: harm{delay: 50 * time.Millisecond}})
					a.hears(bobIsArmed)
					time.Sleep(time.Duration(random.Int64N(int64(1400 * time.Millisecond))))
					_ = a.slave.cmd.Process.Kill()
					<-a.slave.ended
					fired := strings.Contains(a.master.stdout.String(), `"event":"fired"`)
					time.Sleep(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
					a.slave = a.join()
					code := a.end(0)
					ends[killedSubscriber(a, code, fired)]++
				})
			}
			t.Logf("%v", ends)
		})
	}
}

// killedSubscriber says how a run has ended in which bob was killed, and wants it to
// tell so.
func killedSubscriber(a *pcs, code int, fired bool) string {
	a.t.Helper()
	alice, bob := a.bytesOf("alice"), a.bytesOf("bob")
	acknowledged := strings.Contains(a.master.stdout.String(), inState("running"))
	switch {
	case code == 0:
		a.all(code)
		return "whole"
	case code == 5 && alice == 0 && bob == 0 && !acknowledged:
		a.nobodyRecorded(code, "")
		return "called off"
	case code != 3 || !fired || !acknowledged:
		a.t.Errorf("exit code %d, alice recorded %d bytes and bob %d; fired when bob was killed: %v; acknowledged: %v\n%s", code, alice, bob, fired, acknowledged, a.said())
	}
	_, m := latest(a.t, a.work)
	if !m.Has(run.Incomplete) || !strings.Contains(reasons(m), "INCOMPLETE bob") {
		a.t.Errorf("nobody says that bob is missing: %v\n%s", m.Condition, reasons(m))
	}
	return "alone after it was acknowledged, and told"
}
