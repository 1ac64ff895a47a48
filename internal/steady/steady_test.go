package steady

import (
	"testing"
	"time"
)

// TestWitness: who was held up is told so, and for how long.
func TestWitness(t *testing.T) {
	w := watch()
	last := time.Now()
	for began := last; time.Since(began) < 50*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
	if held := w.end(); held < 0 || held > time.Since(last) {
		t.Errorf("held up for %v within %v", held, time.Since(last))
	}
	w = watch()
	w.note(time.Hour)
	w.note(time.Second)
	if held := w.end(); held != time.Hour {
		t.Errorf("held up for %v, want the longest", held)
	}
}
