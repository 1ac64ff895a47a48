package slave

import "testing"

// TestInterruptIsRemembered: whatever an interrupt means where it comes, the process
// ends when the run is over, also where that had ended already.
func TestInterruptIsRemembered(t *testing.T) {
	for stage, first := range map[int]bool{ahead: true, underWay: false, over: false} {
		u := user{stop: make(chan struct{})}
		u.setStage(stage)
		if u.hasAsked() {
			t.Errorf("stage %d: asked before anybody did", stage)
		}
		if giveUp := u.interrupt(); giveUp != first || !u.hasAsked() {
			t.Errorf("stage %d: the first interrupt gives up: %v, remembered: %v", stage, giveUp, u.hasAsked())
		}
		if !u.interrupt() || !u.hasAsked() {
			t.Errorf("stage %d: the second interrupt does not give up", stage)
		}
	}
}
