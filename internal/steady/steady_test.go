package steady

import (
	"slices"
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

// TestTry: a trial that fails while the process is held up is made again, slower
// from the third time on, and each one is cleaned up after.
func TestTry(t *testing.T) {
	var slower []int
	cleaned := 0
	Try(t, -1, func(t *T) { // whatever happens is a hold-up
		slower = append(slower, t.Slower)
		t.Cleanup(func() {
			if t.Context().Err() == nil {
				Always(t).Error("cleaned up before the context ended")
			}
			cleaned++
		})
		time.Sleep(20 * time.Millisecond)
		if len(slower) == 1 {
			t.Error("once")
		}
		if len(slower) < 4 {
			t.Fatalf("trial %d", len(slower))
		}
		if Slower(t) != 2 || t.Failed() {
			t.Errorf("%d times slower", Slower(t))
		}
	})
	if !slices.Equal(slower, []int{1, 1, 2, 2}) || cleaned != 4 || Slower(t) != 1 || Always(t) != testing.TB(t) {
		t.Errorf("trials %v, %d cleaned up", slower, cleaned)
	}
}
